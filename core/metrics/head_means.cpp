// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/metrics/head_means.h"

#include <cmath>
#include <limits>
#include <map>

namespace kvloupe {

namespace {

struct Mean {
    double sum = 0.0;
    std::int64_t count = 0;

    void add(const MeasureCell& cell)
    {
        const auto* whole = std::get_if<std::int64_t>(&cell);
        const auto* real = std::get_if<double>(&cell);
        if (whole == nullptr && (real == nullptr || std::isnan(*real)))
            return;
        sum += whole != nullptr ? static_cast<double>(*whole) : *real;
        ++count;
    }
    double value() const
    {
        return count == 0 ? std::numeric_limits<double>::quiet_NaN() : sum / static_cast<double>(count);
    }
};

using Keys = std::vector<MeasureCell>;

struct Rows {
    std::vector<Keys> order;
    std::map<Keys, std::vector<Mean>> means;
};

} // namespace

struct HeadMeans::State {
    bool perHead = false;
    std::map<Metric, std::pair<const MetricInfo*, Rows>> metrics;

    bool keeps(const MetricColumn& column) const
    {
        return perHead || (column.name != "head" && column.name != "other_head");
    }
};

HeadMeans::HeadMeans(bool perHead)
    : m_state(std::make_unique<State>())
{
    m_state->perHead = perHead;
}

HeadMeans::~HeadMeans() = default;

void HeadMeans::add(const MeasureRow& row)
{
    auto& [info, rows] = m_state->metrics[row.metric->metric];
    info = row.metric;
    Keys keys;
    std::vector<const MeasureCell*> measures;
    for (std::size_t column = 0; column < row.cells.size(); ++column) {
        if (!row.metric->columns[column].isKey)
            measures.push_back(&row.cells[column]);
        else if (m_state->keeps(row.metric->columns[column]))
            keys.push_back(row.cells[column]);
    }
    const auto [means, isNew] = rows.means.try_emplace(keys, measures.size());
    if (isNew)
        rows.order.push_back(keys);
    for (std::size_t measure = 0; measure < measures.size(); ++measure)
        means->second[measure].add(*measures[measure]);
}

std::vector<HeadMeans::Table> HeadMeans::tables() const
{
    std::vector<Table> result;
    for (const auto& [metric, entry] : m_state->metrics) {
        const auto& [info, rows] = entry;
        Table& table = result.emplace_back();
        table.metric = info;
        for (const bool keys : {true, false})
            for (const MetricColumn& column : info->columns)
                if (column.isKey == keys && (!keys || m_state->keeps(column)))
                    table.columns.push_back(column);
        for (const Keys& keys : rows.order) {
            auto& cells = table.rows.emplace_back(keys);
            for (const Mean& mean : rows.means.at(keys))
                cells.emplace_back(mean.value());
        }
    }
    return result;
}

} // namespace kvloupe
