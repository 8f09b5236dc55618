// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/methods/parameter_values.h"

#include "core/methods/nearest_names.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <stdexcept>

namespace kvloupe {

namespace {

const std::string& valueOf(const ParameterValues& values, const std::string& name)
{
    const auto found = values.find(name);
    if (found == values.end())
        throw std::logic_error("parameter '" + name + "' was never resolved");
    return found->second;
}

std::logic_error unchecked(const std::string& name, const std::string& value)
{
    return std::logic_error("parameter '" + name + "' holds the unchecked value '" + value + "'");
}

template <typename Number> bool parseNumber(std::string_view text, Number& number)
{
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc() && end == text.data() + text.size();
}

std::string expectation(const ParameterInfo& parameter)
{
    std::string words;
    for (const auto& choice : parameter.choices)
        words += (words.empty() ? "" : ", ") + choice;
    switch (parameter.type) {
    case ParameterInfo::Type::Integer:
    case ParameterInfo::Type::Real: {
        const std::string number = fmt::format("{} from {} to {}",
            parameter.type == ParameterInfo::Type::Integer ? "a whole number" : "a number", parameter.minimum,
            parameter.maximum);
        return words.empty() ? number : words + " or " + number;
    }
    case ParameterInfo::Type::Boolean:
        return "true or false";
    case ParameterInfo::Type::Choice:
        return "one of " + words;
    case ParameterInfo::Type::Text:
        break;
    }
    return "some text";
}

/// The canonical spelling of `text`, empty if it is no value of the parameter.
std::string canonical(const ParameterInfo& parameter, const std::string& text)
{
    if (std::ranges::find(parameter.choices, text) != parameter.choices.end())
        return text;
    switch (parameter.type) {
    case ParameterInfo::Type::Integer: {
        std::int64_t number = 0;
        const bool valid = parseNumber(text, number) && static_cast<double>(number) >= parameter.minimum
            && static_cast<double>(number) <= parameter.maximum;
        return valid ? std::to_string(number) : "";
    }
    case ParameterInfo::Type::Real: {
        double number = 0;
        const bool valid = parseNumber(text, number) && std::isfinite(number) && number >= parameter.minimum
            && number <= parameter.maximum;
        return valid ? fmt::format("{}", number) : "";
    }
    case ParameterInfo::Type::Boolean:
        if (text == "true" || text == "1")
            return "true";
        return text == "false" || text == "0" ? "false" : "";
    case ParameterInfo::Type::Choice:
        return "";
    case ParameterInfo::Type::Text:
        break;
    }
    return text;
}

} // namespace

std::int64_t integerValue(const ParameterValues& values, const std::string& name)
{
    std::int64_t number = 0;
    if (!parseNumber(valueOf(values, name), number))
        throw unchecked(name, valueOf(values, name));
    return number;
}

double realValue(const ParameterValues& values, const std::string& name)
{
    double number = 0;
    if (!parseNumber(valueOf(values, name), number))
        throw unchecked(name, valueOf(values, name));
    return number;
}

bool booleanValue(const ParameterValues& values, const std::string& name)
{
    const std::string& value = valueOf(values, name);
    if (value != "true" && value != "false")
        throw unchecked(name, value);
    return value == "true";
}

Granularity granularityValue(const ParameterValues& values, const std::string& name)
{
    for (const auto granularity : {Granularity::Layer, Granularity::KvHead, Granularity::QueryHead})
        if (granularityName(granularity) == valueOf(values, name))
            return granularity;
    throw unchecked(name, valueOf(values, name));
}

GroupReduction reductionValue(const ParameterValues& values, const std::string& name)
{
    const std::string& value = valueOf(values, name);
    if (value == "mean")
        return GroupReduction::Mean;
    if (value == "max")
        return GroupReduction::Max;
    if (value == "sum")
        return GroupReduction::Sum;
    throw unchecked(name, value);
}

TokenPooling poolingValue(const ParameterValues& values, const std::string& name)
{
    const std::string& value = valueOf(values, name);
    if (value == "avg")
        return TokenPooling::Average;
    if (value == "max")
        return TokenPooling::Maximum;
    throw unchecked(name, value);
}

BudgetRule budgetRule(const ParameterValues& values)
{
    return budgetRoundingFromName(valueOf(values, "budget_rounding"));
}

ParameterInfo granularityParameter(std::string defaultValue)
{
    return {"granularity", ParameterInfo::Type::Choice, std::move(defaultValue),
        "level at which one set of kept tokens holds; a grouped-query cache cannot hold q_head", 0, 0,
        {"layer", "kv_head", "q_head"}};
}

ParameterInfo reductionParameter()
{
    return {"gqa_reduce", ParameterInfo::Type::Choice, "mean",
        "how the query heads that share a set are brought to one score", 0, 0, {"mean", "max", "sum"}};
}

ParameterInfo budgetRoundingParameter()
{
    return {"budget_rounding", ParameterInfo::Type::Choice, "auto",
        "how a share becomes a number of tokens; auto = exact_floor for a share kept, trunc_double for a compression "
        "ratio",
        0, 0, {"auto", "exact_floor", "trunc_double", "round_half_even"}};
}

ParameterValues resolveParameters(
    const MethodInfo& method, std::string_view preset, const ParameterValues& explicitValues, std::string_view spec)
{
    ParameterValues values;
    std::vector<std::string> names;
    for (const auto& parameter : method.parameters) {
        values[parameter.name] = parameter.defaultValue;
        names.push_back(parameter.name);
    }
    if (!preset.empty()) {
        const auto found = std::ranges::find(method.presets, preset, &PresetInfo::name);
        if (found == method.presets.end()) {
            std::vector<std::string> presets;
            for (const auto& known : method.presets)
                presets.push_back(known.name);
            throw MethodError(fmt::format("method '{}': unknown preset '{}' of {}{}", spec, shownName(preset),
                method.name,
                presets.empty() ? ", which has none"
                                : fmt::format("; it has {}{}", fmt::join(presets, ", "), didYouMean(preset, presets))));
        }
        for (const auto& [name, value] : found->values)
            values[name] = value;
    }
    for (const auto& [name, value] : explicitValues) {
        if (!values.contains(name))
            throw MethodError(fmt::format("method '{}': unknown parameter '{}' of {}; {}{}", spec, shownName(name),
                method.name, names.empty() ? "it has none" : fmt::format("it has {}", fmt::join(names, ", ")),
                didYouMean(name, names)));
        values[name] = value;
    }
    for (const auto& parameter : method.parameters) {
        std::string& value = values[parameter.name];
        const std::string checked = canonical(parameter, value);
        if (checked.empty())
            throw MethodError(fmt::format("method '{}': parameter {} is '{}', expected {}{}", spec, parameter.name,
                shownName(value), expectation(parameter), didYouMean(value, parameter.choices)));
        value = checked;
    }
    return values;
}

} // namespace kvloupe
