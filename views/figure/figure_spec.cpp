// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/figure/figure_spec.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <charconv>
#include <cmath>
#include <limits>
#include <set>

namespace kvloupe {

namespace {

using Json = nlohmann::ordered_json;

/// One JSON object whose fields are read once each; what is left over at the end is a mistake.
class Fields {
public:
    Fields(const Json& object, std::string source)
        : m_object(object)
        , m_source(std::move(source))
    {
    }

    const Json* find(const std::string& name)
    {
        m_known.insert(name);
        const auto found = m_object.find(name);
        return found == m_object.end() || found->is_null() ? nullptr : &*found;
    }

    [[noreturn]] void fail(const std::string& name, std::string_view expected) const
    {
        throw FigureError(fmt::format("{}: field \"{}\" is {}, expected {}", m_source, name,
            m_object.at(name).dump(-1, ' ', false, Json::error_handler_t::replace), expected));
    }

    void text(const std::string& name, std::string& value)
    {
        if (const Json* field = find(name)) {
            if (!field->is_string())
                fail(name, "a text");
            value = field->get<std::string>();
        }
    }

    void integer(const std::string& name, int& value)
    {
        if (const Json* field = find(name)) {
            if (!field->is_number_integer() || field->get<std::int64_t>() < 0
                || field->get<std::int64_t>() > std::numeric_limits<int>::max())
                fail(name, "a whole number, at least 0");
            value = field->get<int>();
        }
    }

    void real(const std::string& name, double& value)
    {
        if (const Json* field = find(name)) {
            if (!field->is_number() || !std::isfinite(field->get<double>()))
                fail(name, "a number");
            value = field->get<double>();
        }
    }

    void boolean(const std::string& name, bool& value)
    {
        if (const Json* field = find(name)) {
            if (!field->is_boolean())
                fail(name, "true or false");
            value = field->get<bool>();
        }
    }

    void range(const std::string& name, std::optional<TokenRange>& value)
    {
        if (const Json* field = find(name)) {
            if (!field->is_string())
                fail(name, "a text like \"0:256\"");
            value = parseTokenRange(field->get<std::string>(), name, -1);
        }
    }

    void rejectUnknown() const
    {
        for (const auto& [name, value] : m_object.items()) {
            if (!m_known.contains(name))
                throw FigureError(fmt::format(
                    "{}: unknown field \"{}\", expected one of {}", m_source, name, fmt::join(m_known, ", ")));
        }
    }

private:
    const Json& m_object;
    std::string m_source;
    std::set<std::string> m_known;
};

std::string rangeText(const TokenRange& range)
{
    return range.end < 0 ? fmt::format("{}:", range.begin) : fmt::format("{}:{}", range.begin, range.end);
}

} // namespace

TokenRange parseTokenRange(std::string_view text, std::string_view field, std::int64_t end)
{
    const auto fail = [&]() -> FigureError {
        return FigureError(
            fmt::format("{}: found \"{}\", expected BEGIN:END in tokens, for example 0:256", field, text));
    };
    const auto number = [&](std::string_view part, std::int64_t missing) {
        if (part.empty())
            return missing;
        std::int64_t value = 0;
        const auto [stop, error] = std::from_chars(part.data(), part.data() + part.size(), value);
        if (error != std::errc() || stop != part.data() + part.size() || value < 0)
            throw fail();
        return value;
    };
    const std::size_t colon = text.find(':');
    if (colon == std::string_view::npos)
        throw fail();
    const TokenRange range{number(text.substr(0, colon), 0), number(text.substr(colon + 1), end)};
    if (range.end >= 0 && range.end <= range.begin)
        throw fail();
    return range;
}

void checkFigureSpec(const FigureSpec& spec)
{
    const auto check = [](std::string_view field, double value, double low, double high) {
        if (!(value >= low && value <= high))
            throw FigureError(fmt::format("{}: found {}, expected {} to {}", field, value, low, high));
    };
    check("width", spec.widthMm, 20.0, 2000.0);
    if (spec.heightMm != 0.0)
        check("height", spec.heightMm, 20.0, 2000.0);
    check("font", spec.fontPoints, 3.0, 72.0);
    check("dpi", spec.dpi, 30, 2400);
    if (!(spec.range.low >= 0.0 && spec.range.low < spec.range.high && spec.range.high <= 1.0))
        throw FigureError(fmt::format(
            "range: found {} to {}, expected two values with 0 <= low < high <= 1", spec.range.low, spec.range.high));
}

FigureSpec figureSpecFromJson(std::string_view text, const std::filesystem::path& source)
{
    Json object;
    try {
        object = Json::parse(text);
    } catch (const Json::exception& error) {
        throw FigureError(fmt::format("{}: not JSON: {}", source.string(), error.what()));
    }
    if (!object.is_object())
        throw FigureError(fmt::format("{}: found {}, expected an object", source.string(), object.type_name()));

    Fields fields(object, source.string());
    FigureSpec spec;
    std::string name = "attention";
    fields.text("figure", name);
    if (name != "attention")
        fields.fail("figure", "\"attention\"");
    std::string recording;
    fields.text("recording", recording);
    spec.recording = recording;
    if (!recording.empty() && spec.recording.is_relative())
        spec.recording = source.parent_path() / spec.recording;
    if (const Json* sample = fields.find("sample")) {
        if (sample->is_number_unsigned())
            spec.sample = std::to_string(sample->get<std::uint64_t>());
        else if (sample->is_string())
            spec.sample = sample->get<std::string>();
        else
            fields.fail("sample", "a number or an id");
    }
    fields.integer("layer", spec.layer);
    fields.integer("head", spec.head);
    if (const Json* methods = fields.find("methods")) {
        if (!methods->is_array())
            fields.fail("methods", "a list of texts");
        for (const Json& method : *methods) {
            if (!method.is_string())
                fields.fail("methods", "a list of texts");
            spec.methods.push_back(method.get<std::string>());
        }
    }
    int budgets = 0;
    const auto decimal = [&](const std::string& field, auto make) {
        if (const Json* value = fields.find(field)) {
            if (!value->is_number() && !value->is_string())
                fields.fail(field, "a number");
            // Budgets are exact decimals: what the user typed, not the nearest double.
            spec.budget = make(value->is_string() ? value->get<std::string>() : value->dump());
            ++budgets;
        }
    };
    decimal("keep", [](const std::string& value) { return Budget::keep(std::string_view(value)); });
    decimal("compression_ratio",
        [](const std::string& value) { return Budget::compressionRatio(std::string_view(value)); });
    int capacity = 0;
    fields.integer("capacity", capacity);
    if (capacity > 0) {
        spec.budget = Budget::capacity(capacity);
        ++budgets;
    }
    if (budgets > 1)
        throw FigureError(
            fmt::format("{}: found several of keep, capacity, compression_ratio, expected one", source.string()));
    const auto choice = [&](const std::string& field, auto& value, auto fromName, std::string_view expected) {
        std::string chosen;
        fields.text(field, chosen);
        if (chosen.empty())
            return;
        const auto found = fromName(chosen);
        if (!found)
            fields.fail(field, expected);
        value = *found;
    };
    choice("colormap", spec.colorMap, colorMapFromName, "viridis, cividis, magma, inferno or grey");
    choice("scale", spec.scale, colorScaleFromName, "linear, log or sqrt");
    choice(
        "pooling", spec.pooling,
        [](std::string_view text2) -> std::optional<Pooling> {
            if (text2 == poolingName(Pooling::Max))
                return Pooling::Max;
            if (text2 == poolingName(Pooling::Mean))
                return Pooling::Mean;
            return std::nullopt;
        },
        "max or mean");
    fields.real("low", spec.range.low);
    fields.real("high", spec.range.high);
    fields.range("queries", spec.queries);
    fields.range("keys", spec.keys);
    fields.boolean("shade", spec.shadeDropped);
    fields.boolean("tokens", spec.showTokens);
    fields.boolean("spans", spec.showSpans);
    if (fields.find("title")) {
        spec.title.emplace();
        fields.text("title", *spec.title);
    }
    fields.real("width", spec.widthMm);
    fields.real("height", spec.heightMm);
    fields.real("font", spec.fontPoints);
    fields.integer("dpi", spec.dpi);
    fields.rejectUnknown();
    checkFigureSpec(spec);
    return spec;
}

std::string figureSpecToJson(const FigureSpec& spec)
{
    Json object;
    object["figure"] = "attention";
    object["recording"] = spec.recording.string();
    object["sample"] = spec.sample;
    object["layer"] = spec.layer;
    object["head"] = spec.head;
    object["methods"] = spec.methods;
    switch (spec.budget.kind()) {
    case BudgetKind::Keep:
        object["keep"] = spec.budget.text();
        break;
    case BudgetKind::Capacity:
        object["capacity"] = std::stoll(spec.budget.text());
        break;
    case BudgetKind::CompressionRatio:
        object["compression_ratio"] = spec.budget.text();
        break;
    }
    object["colormap"] = colorMapName(spec.colorMap);
    object["scale"] = colorScaleName(spec.scale);
    object["low"] = spec.range.low;
    object["high"] = spec.range.high;
    object["pooling"] = poolingName(spec.pooling);
    if (spec.queries)
        object["queries"] = rangeText(*spec.queries);
    if (spec.keys)
        object["keys"] = rangeText(*spec.keys);
    object["shade"] = spec.shadeDropped;
    object["tokens"] = spec.showTokens;
    object["spans"] = spec.showSpans;
    if (spec.title)
        object["title"] = *spec.title;
    object["width"] = spec.widthMm;
    object["height"] = spec.heightMm;
    object["font"] = spec.fontPoints;
    object["dpi"] = spec.dpi;
    return object.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

} // namespace kvloupe
