// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/results/json_fields.h"

#include "core/json/shallow_json.h"
#include "core/results/results_error.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

namespace kvloupe {

namespace {

using Json = nlohmann::json;

constexpr std::size_t shownBytes = 60;

std::optional<std::int64_t> integerIn(const Json& value, std::int64_t low, std::int64_t high)
{
    if (value.is_number_unsigned() && value.get<std::uint64_t>() > static_cast<std::uint64_t>(high))
        return std::nullopt;
    if (!value.is_number_integer() || value.get<std::int64_t>() < low || value.get<std::int64_t>() > high)
        return std::nullopt;
    return value.get<std::int64_t>();
}

bool isSha256(std::string_view text)
{
    return text.size() == 64
        && std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

} // namespace

std::string shownJson(const Json& value)
{
    if (value.is_structured() && value.size() > 8)
        return value.is_array() ? "an array" : "an object";
    std::string text = value.dump(-1, ' ', true, Json::error_handler_t::replace);
    if (text.size() > shownBytes)
        text = text.substr(0, shownBytes) + "...";
    return text;
}

JsonFields::JsonFields(const Json& object, std::string where, std::string path)
    : m_object(&object)
    , m_where(std::move(where))
    , m_path(std::move(path))
{
    if (!object.is_object()) {
        const std::string field = m_path.empty() ? "" : ", field " + m_path.substr(0, m_path.size() - 1);
        throw ResultsError(fmt::format("{}{}: found {}, expected an object", m_where, field, shownJson(object)));
    }
}

const Json& JsonFields::at(std::string_view field) const
{
    const auto found = m_object->find(field);
    if (found == m_object->end())
        wrong(field, "nothing", "the field");
    return *found;
}

void JsonFields::wrong(std::string_view field, std::string_view found, std::string_view expected) const
{
    throw ResultsError(fmt::format("{}, field {}{}: found {}, expected {}", m_where, m_path, field, found, expected));
}

void JsonFields::wrongValue(std::string_view field, const Json& found, std::string_view expected) const
{
    wrong(field, shownJson(found), expected);
}

JsonFields JsonFields::object(std::string_view field) const
{
    return {at(field), m_where, fmt::format("{}{}.", m_path, field)};
}

std::vector<JsonFields> JsonFields::objects(std::string_view field, std::size_t most) const
{
    const Json& list = at(field);
    if (!list.is_array() || list.empty() || list.size() > most)
        wrongValue(field, list, fmt::format("a list of 1 to {} objects", most));
    std::vector<JsonFields> result;
    for (std::size_t index = 0; index < list.size(); ++index)
        result.emplace_back(list[index], m_where, fmt::format("{}{}[{}].", m_path, field, index));
    return result;
}

std::string JsonFields::text(std::string_view field) const
{
    const Json& value = at(field);
    if (!value.is_string())
        wrongValue(field, value, "a string");
    return value.get<std::string>();
}

std::string JsonFields::text(std::string_view field, const std::vector<std::string_view>& choices) const
{
    std::string value = text(field);
    if (std::ranges::find(choices, value) == choices.end())
        wrongValue(field, Json(value), fmt::format("one of {}", fmt::join(choices, ", ")));
    return value;
}

std::string JsonFields::sha256(std::string_view field) const
{
    std::string value = text(field);
    if (!isSha256(value))
        wrongValue(field, Json(value), "64 hexadecimal digits in lower case");
    return value;
}

bool JsonFields::boolean(std::string_view field) const
{
    const Json& value = at(field);
    if (!value.is_boolean())
        wrongValue(field, value, "true or false");
    return value.get<bool>();
}

std::int64_t JsonFields::integer(std::string_view field, std::int64_t low, std::int64_t high) const
{
    const Json& value = at(field);
    const auto number = integerIn(value, low, high);
    if (!number)
        wrongValue(field, value, fmt::format("a whole number from {} to {}", low, high));
    return *number;
}

std::uint64_t JsonFields::unsignedInteger(std::string_view field) const
{
    const Json& value = at(field);
    if (!value.is_number_unsigned())
        wrongValue(field, value, "a whole number from 0 to 2^64 - 1");
    return value.get<std::uint64_t>();
}

double JsonFields::number(std::string_view field, double low, double high) const
{
    const Json& value = at(field);
    const double number = value.is_number() ? value.get<double>() : std::nan("");
    if (!(number >= low && number <= high))
        wrongValue(field, value,
            low == std::numeric_limits<double>::lowest()     ? std::string("a number")
                : high == std::numeric_limits<double>::max() ? fmt::format("a number of at least {}", low)
                                                             : fmt::format("a number from {} to {}", low, high));
    return number;
}

std::vector<double> JsonFields::numbers(std::string_view field, double low) const
{
    const Json& list = at(field);
    if (!list.is_array())
        wrongValue(field, list, "a list of numbers");
    std::vector<double> result;
    for (const Json& value : list) {
        if (!value.is_number() || !(value.get<double>() >= low))
            wrongValue(field, value, fmt::format("numbers of at least {}", low));
        result.push_back(value.get<double>());
    }
    return result;
}

std::vector<std::int64_t> JsonFields::integers(std::string_view field, std::int64_t low, std::int64_t high) const
{
    const Json& list = at(field);
    if (!list.is_array())
        wrongValue(field, list, "a list of whole numbers");
    std::vector<std::int64_t> result;
    for (const Json& value : list) {
        const auto number = integerIn(value, low, high);
        if (!number)
            wrongValue(field, value, fmt::format("whole numbers from {} to {}", low, high));
        result.push_back(*number);
    }
    return result;
}

std::vector<std::string> JsonFields::texts(std::string_view field) const
{
    const Json& list = at(field);
    if (!list.is_array())
        wrongValue(field, list, "a list of strings");
    std::vector<std::string> result;
    for (const Json& value : list) {
        if (!value.is_string())
            wrongValue(field, value, "strings");
        result.push_back(value.get<std::string>());
    }
    return result;
}

std::map<std::string, std::string> JsonFields::textMap(std::string_view field) const
{
    const Json& map = at(field);
    if (!map.is_object())
        wrongValue(field, map, "an object of strings");
    std::map<std::string, std::string> result;
    for (const auto& [name, value] : map.items()) {
        if (!value.is_string())
            wrongValue(field, value, "strings");
        result.emplace(name, value.get<std::string>());
    }
    return result;
}

bool JsonFields::has(std::string_view field) const
{
    return !at(field).is_null();
}

Json parseJsonLine(std::string_view line, const std::string& where)
{
    try {
        return parseShallowJson(line);
    } catch (const JsonTextError& error) {
        throw ResultsError(fmt::format("{}: {}", where, error.what()));
    }
}

} // namespace kvloupe
