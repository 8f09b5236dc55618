// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <nlohmann/json.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kvloupe {

/// Reads an object of JSON from outside field by field. Every function throws ResultsError with the place (a file and a
/// line), the path of the field, what was found and what was expected; numbers are finite and inside their bounds.
class JsonFields {
public:
    /// `object` must stay alive. Throws unless it is an object. `path` is what stands before a field's name: "model."
    JsonFields(const nlohmann::json& object, std::string where, std::string path = {});

    JsonFields object(std::string_view field) const;
    std::vector<JsonFields> objects(std::string_view field, std::size_t most) const;
    std::string text(std::string_view field) const;
    /// One of `choices`.
    std::string text(std::string_view field, const std::vector<std::string_view>& choices) const;
    /// 64 lower-case hexadecimal digits.
    std::string sha256(std::string_view field) const;
    bool boolean(std::string_view field) const;
    std::int64_t integer(std::string_view field, std::int64_t low, std::int64_t high) const;
    std::uint64_t unsignedInteger(std::string_view field) const;
    double number(std::string_view field, double low = std::numeric_limits<double>::lowest(),
        double high = std::numeric_limits<double>::max()) const;
    std::vector<double> numbers(std::string_view field, double low) const;
    std::vector<std::int64_t> integers(std::string_view field, std::int64_t low, std::int64_t high) const;
    std::vector<std::string> texts(std::string_view field) const;
    std::map<std::string, std::string> textMap(std::string_view field) const;
    /// Whether the field is there and is not null. A field that is missing is an error: null is written out.
    bool has(std::string_view field) const;

    /// Throws ResultsError for a field: "WHERE, field PATH: found ..., expected ...".
    [[noreturn]] void wrong(std::string_view field, std::string_view found, std::string_view expected) const;

private:
    const nlohmann::json& at(std::string_view field) const;
    [[noreturn]] void wrongValue(std::string_view field, const nlohmann::json& found, std::string_view expected) const;

    const nlohmann::json* m_object;
    std::string m_where;
    std::string m_path;
};

/// Parses one line of a file of JSON lines. Throws ResultsError with `where` for anything that is not JSON, for numbers
/// beyond double precision's range and for nesting deeper than 16 levels.
nlohmann::json parseJsonLine(std::string_view line, const std::string& where);

/// Up to 60 bytes of a value as JSON, for a message of one line.
std::string shownJson(const nlohmann::json& value);

} // namespace kvloupe
