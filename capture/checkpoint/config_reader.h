// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <nlohmann/json.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kvloupe {

/// One JSON object of a config file, which outlives it. A field that is null counts as absent, as in transformers.
/// Errors: CheckpointError "FILE: FIELD: PROBLEM".
class ConfigReader {
public:
    ConfigReader(const nlohmann::json& object, std::string where);

    const nlohmann::json* find(const char* field) const;
    /// Whether the field is there, null or not.
    bool mentions(const char* field) const { return m_object.contains(field); }
    /// An object inside; empty if there is none.
    std::optional<ConfigReader> object(const char* field) const;

    std::optional<std::int64_t> findInteger(const char* field, std::int64_t minimum, std::int64_t maximum) const;
    /// From 1 on; missing if `fallback` is 0.
    std::int64_t positiveInteger(const char* field, std::int64_t maximum, std::int64_t fallback = 0) const;
    std::optional<double> findReal(const char* field) const;
    double real(const char* field, double fallback) const { return findReal(field).value_or(fallback); }
    /// Above 0 and finite; an error if it is missing.
    double positiveReal(const char* field) const;
    bool boolean(const char* field, bool fallback) const;
    std::string string(const char* field, const char* fallback) const;
    /// One id or a list of ids, ascending, each once.
    std::vector<std::int32_t> ids(const char* field) const;
    std::vector<std::string> strings(const char* field) const;
    std::vector<std::int64_t> integers(const char* field, std::int64_t minimum, std::int64_t maximum) const;
    /// Positive finite numbers, exactly `count` of them; an error if they are missing.
    std::vector<float> positiveReals(const char* field, std::size_t count) const;

    [[noreturn]] void fail(std::string_view field, std::string_view problem) const;
    const std::string& where() const { return m_where; }

private:
    const nlohmann::json* findArray(const char* field) const;

    const nlohmann::json& m_object;
    std::string m_where;
};

} // namespace kvloupe
