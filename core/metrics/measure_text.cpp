// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/metrics/measure_text.h"

#include "core/replay/csv_field.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>

namespace kvloupe {

namespace {

std::string numberText(double value)
{
    return fmt::format("{}", static_cast<float>(value));
}

std::string jsonText(const std::string& text)
{
    return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

struct JsonCell {
    std::string operator()(std::monostate) const { return "null"; }
    std::string operator()(std::int64_t value) const { return fmt::format("{}", value); }
    std::string operator()(double value) const { return std::isfinite(value) ? numberText(value) : "null"; }
    std::string operator()(const std::string& text) const { return jsonText(text); }
};

struct PlainCell {
    std::string operator()(std::monostate) const { return {}; }
    std::string operator()(std::int64_t value) const { return fmt::format("{}", value); }
    std::string operator()(double value) const { return std::isnan(value) ? std::string() : numberText(value); }
    std::string operator()(const std::string& text) const { return text; }
};

} // namespace

std::string measureText(const MeasureCell& cell)
{
    return std::visit(PlainCell{}, cell);
}

MeasureCsv::MeasureCsv(std::span<const MetricInfo* const> metrics)
{
    // Keys of all metrics first, so that the measures stand together at the end of the line.
    for (const bool keys : {true, false})
        for (const MetricInfo* metric : metrics)
            for (const MetricColumn& column : metric->columns)
                if (column.isKey == keys && std::ranges::find(m_columns, column.name) == m_columns.end())
                    m_columns.push_back(column.name);
    for (const MetricInfo* metric : metrics) {
        auto& places = m_places.emplace_back(metric, std::vector<std::size_t>()).second;
        for (const MetricColumn& column : metric->columns)
            places.push_back(static_cast<std::size_t>(std::ranges::find(m_columns, column.name) - m_columns.begin()));
    }
}

std::string MeasureCsv::header() const
{
    return fmt::format("metric,{}\n", fmt::join(m_columns, ","));
}

std::string MeasureCsv::line(const MeasureRow& row) const
{
    const auto found = std::ranges::find(m_places, row.metric, [](const auto& place) { return place.first; });
    std::vector<std::string> fields(m_columns.size());
    for (std::size_t cell = 0; cell < row.cells.size(); ++cell)
        fields[found->second[cell]] = csvField(measureText(row.cells[cell]));
    return fmt::format("{},{}\n", row.metric->name, fmt::join(fields, ","));
}

std::string measureJson(const MeasureRow& row)
{
    std::string text = fmt::format("{{\"metric\":{}", jsonText(row.metric->name));
    for (std::size_t cell = 0; cell < row.cells.size(); ++cell)
        text += fmt::format(",\"{}\":{}", row.metric->columns[cell].name, std::visit(JsonCell{}, row.cells[cell]));
    return text + "}\n";
}

} // namespace kvloupe
