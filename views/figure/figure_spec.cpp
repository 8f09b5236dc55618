// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/figure/figure_spec.h"

#include "views/figure/spec_fields.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <charconv>

namespace kvloupe {

namespace {

using Json = nlohmann::ordered_json;

} // namespace

std::string tokenRangeText(const TokenRange& range)
{
    return range.end < 0 ? fmt::format("{}:", range.begin) : fmt::format("{}:{}", range.begin, range.end);
}

void readBudget(SpecFields& fields, Budget& budget)
{
    int budgets = 0;
    const auto decimal = [&](const std::string& field, auto make) {
        if (const Json* value = fields.find(field)) {
            if (!value->is_number() && !value->is_string())
                fields.fail(field, "a number");
            // Budgets are exact decimals: what the user typed, not the nearest double.
            budget = make(value->is_string() ? value->get<std::string>() : value->dump());
            ++budgets;
        }
    };
    decimal("keep", [](const std::string& value) { return Budget::keep(std::string_view(value)); });
    decimal("compression_ratio",
        [](const std::string& value) { return Budget::compressionRatio(std::string_view(value)); });
    int capacity = 0;
    fields.integer("capacity", capacity);
    if (capacity > 0) {
        budget = Budget::capacity(capacity);
        ++budgets;
    }
    if (budgets > 1)
        throw FigureError(
            fmt::format("{}: found several of keep, capacity, compression_ratio, expected one", fields.where()));
}

void writeBudget(const Budget& budget, Json& object)
{
    switch (budget.kind()) {
    case BudgetKind::Keep:
        object["keep"] = budget.text();
        break;
    case BudgetKind::Capacity:
        object["capacity"] = std::stoll(budget.text());
        break;
    case BudgetKind::CompressionRatio:
        object["compression_ratio"] = budget.text();
        break;
    }
}

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
    SpecFields fields(text, source);
    const FigureSpec spec = figureSpecFromFields(fields);
    fields.rejectUnknown();
    return spec;
}

FigureSpec figureSpecFromFields(SpecFields& fields)
{
    FigureSpec spec;
    std::string name = "attention";
    fields.text("figure", name);
    if (name != "attention")
        fields.fail("figure", "\"attention\"");
    fields.path("recording", spec.recording);
    fields.sample("sample", spec.sample);
    fields.integer("layer", spec.layer);
    fields.integer("head", spec.head);
    fields.texts("methods", spec.methods);
    readBudget(fields, spec.budget);
    fields.choice("colormap", spec.colorMap, colorMapFromName, "viridis, cividis, magma, inferno or grey");
    fields.choice("scale", spec.scale, colorScaleFromName, "linear, log or sqrt");
    fields.choice(
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
    fields.text("title", spec.title);
    fields.real("width", spec.widthMm);
    fields.real("height", spec.heightMm);
    fields.real("font", spec.fontPoints);
    fields.integer("dpi", spec.dpi);
    checkFigureSpec(spec);
    return spec;
}

nlohmann::ordered_json figureSpecToJson(const FigureSpec& spec)
{
    Json object;
    object["figure"] = "attention";
    object["recording"] = spec.recording.string();
    object["sample"] = spec.sample;
    object["layer"] = spec.layer;
    object["head"] = spec.head;
    object["methods"] = spec.methods;
    writeBudget(spec.budget, object);
    object["colormap"] = colorMapName(spec.colorMap);
    object["scale"] = colorScaleName(spec.scale);
    object["low"] = spec.range.low;
    object["high"] = spec.range.high;
    object["pooling"] = poolingName(spec.pooling);
    if (spec.queries)
        object["queries"] = tokenRangeText(*spec.queries);
    if (spec.keys)
        object["keys"] = tokenRangeText(*spec.keys);
    object["shade"] = spec.shadeDropped;
    object["tokens"] = spec.showTokens;
    object["spans"] = spec.showSpans;
    if (spec.title)
        object["title"] = *spec.title;
    object["width"] = spec.widthMm;
    object["height"] = spec.heightMm;
    object["font"] = spec.fontPoints;
    object["dpi"] = spec.dpi;
    return object;
}

} // namespace kvloupe
