// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/checkpoint/config_reader.h"

#include "capture/checkpoint/checkpoint_error.h"
#include "capture/checkpoint/config_limits.h"

#include <fmt/format.h>

#include <algorithm>

namespace kvloupe {

using nlohmann::json;

ConfigReader::ConfigReader(const json& object, std::string where)
    : m_object(object)
    , m_where(std::move(where))
{
}

void ConfigReader::fail(std::string_view field, std::string_view problem) const
{
    throw CheckpointError(fmt::format("{}: {}: {}", m_where, field, problem));
}

const json* ConfigReader::find(const char* field) const
{
    const auto found = m_object.find(field);
    return found == m_object.end() || found->is_null() ? nullptr : &*found;
}

std::optional<ConfigReader> ConfigReader::object(const char* field) const
{
    const json* const value = find(field);
    if (value == nullptr)
        return std::nullopt;
    if (!value->is_object())
        fail(field, fmt::format("found a {}, expected an object", value->type_name()));
    return ConfigReader(*value, fmt::format("{}: {}", m_where, field));
}

namespace {

/// Whether `value` is an integer of the range; otherwise `problem` says why not.
std::optional<std::int64_t> integerOf(
    const json& value, std::int64_t minimum, std::int64_t maximum, std::string& problem)
{
    if (!value.is_number_integer()) {
        problem = fmt::format("found a {}, expected an integer", value.type_name());
    } else if (value.is_number_unsigned() && value.get<std::uint64_t>() >> 63 != 0) {
        problem = fmt::format("found {}, expected {} to {}", value.get<std::uint64_t>(), minimum, maximum);
    } else if (const auto number = value.get<std::int64_t>(); number < minimum || number > maximum) {
        problem = fmt::format("found {}, expected {} to {}", number, minimum, maximum);
    } else {
        return number;
    }
    return std::nullopt;
}

} // namespace

std::optional<std::int64_t> ConfigReader::findInteger(
    const char* field, std::int64_t minimum, std::int64_t maximum) const
{
    const json* const value = find(field);
    if (value == nullptr)
        return std::nullopt;
    std::string problem;
    const auto number = integerOf(*value, minimum, maximum, problem);
    if (!number)
        fail(field, problem);
    return number;
}

std::int64_t ConfigReader::positiveInteger(const char* field, std::int64_t maximum, std::int64_t fallback) const
{
    const auto value = findInteger(field, 1, maximum);
    if (!value && fallback == 0)
        fail(field, "is missing");
    return value.value_or(fallback);
}

std::optional<double> ConfigReader::findReal(const char* field) const
{
    const json* const value = find(field);
    if (value == nullptr)
        return std::nullopt;
    if (!value->is_number())
        fail(field, fmt::format("found a {}, expected a number", value->type_name()));
    return value->get<double>();
}

double ConfigReader::positiveReal(const char* field) const
{
    const auto value = findReal(field);
    if (!value)
        fail(field, "is missing");
    if (!(*value > 0 && *value <= largestReal))
        fail(field, fmt::format("found {}, expected a positive number", *value));
    return *value;
}

bool ConfigReader::boolean(const char* field, bool fallback) const
{
    const json* const value = find(field);
    if (value != nullptr && !value->is_boolean())
        fail(field, fmt::format("found a {}, expected true or false", value->type_name()));
    return value == nullptr ? fallback : value->get<bool>();
}

std::string ConfigReader::string(const char* field, const char* fallback) const
{
    const json* const value = find(field);
    if (value != nullptr && !value->is_string())
        fail(field, fmt::format("found a {}, expected a string", value->type_name()));
    return value == nullptr ? fallback : value->get<std::string>();
}

std::vector<std::int32_t> ConfigReader::ids(const char* field) const
{
    const json* const value = find(field);
    std::vector<std::int32_t> result;
    if (value == nullptr)
        return result;
    for (const json& id : value->is_array() ? *value : json::array({*value})) {
        if (!id.is_number_unsigned() || id.get<std::uint64_t>() > static_cast<std::uint64_t>(largestVocabulary))
            fail(field, "expected a token id or a list of token ids");
        result.push_back(id.get<std::int32_t>());
    }
    std::ranges::sort(result);
    result.erase(std::unique(result.begin(), result.end()), result.end());
    return result;
}

const json* ConfigReader::findArray(const char* field) const
{
    const json* const value = find(field);
    if (value != nullptr && !value->is_array())
        fail(field, fmt::format("found a {}, expected a list", value->type_name()));
    return value;
}

std::vector<std::string> ConfigReader::strings(const char* field) const
{
    std::vector<std::string> result;
    if (const json* const list = findArray(field))
        for (const json& value : *list) {
            if (!value.is_string())
                fail(field, fmt::format("found a {} in the list, expected strings", value.type_name()));
            result.push_back(value.get<std::string>());
        }
    return result;
}

std::vector<std::int64_t> ConfigReader::integers(const char* field, std::int64_t minimum, std::int64_t maximum) const
{
    std::vector<std::int64_t> result;
    std::string problem;
    if (const json* const list = findArray(field))
        for (const json& value : *list) {
            const auto number = integerOf(value, minimum, maximum, problem);
            if (!number)
                fail(field, "in the list: " + problem);
            result.push_back(*number);
        }
    return result;
}

std::vector<float> ConfigReader::positiveReals(const char* field, std::size_t count) const
{
    const json* const list = findArray(field);
    if (list == nullptr)
        fail(field, "is missing");
    if (list->size() != count)
        fail(field, fmt::format("found {} numbers, expected {}, one for each pair of a head", list->size(), count));
    std::vector<float> result;
    for (const json& value : *list) {
        const double number = value.is_number() ? value.get<double>() : 0.0;
        if (!(number > 0 && number <= largestReal))
            fail(field, "found something else in the list, expected positive numbers");
        result.push_back(static_cast<float>(number));
    }
    return result;
}

} // namespace kvloupe
