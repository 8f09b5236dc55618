// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <nlohmann/json.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace kvloupe {

/// A JSON value of a tokenizer file with the path that leads to it, which begins the messages of its TokenizerErrors. A
/// member that is null counts as absent.
class JsonNode {
public:
    using json = nlohmann::json;

    /// `value` outlives the node.
    JsonNode(const json& value, std::string where)
        : m_value(value)
        , m_where(std::move(where))
    {
    }

    [[noreturn]] void fail(const std::string& problem) const;

    const std::string& where() const { return m_where; }
    const json& value() const { return m_value; }

    bool has(const char* name) const;
    JsonNode member(const char* name, json::value_t type) const;
    /// This node, if it is of the type.
    const JsonNode& expect(json::value_t type) const;
    std::string string(const char* name) const;
    bool boolean(const char* name, bool fallback) const;
    /// This value as a token id.
    std::int32_t tokenId() const;

    /// Refuses members that would change the result in a way we do not know.
    void refuse(const char* name, bool isPresent, std::string_view why) const;

    /// The steps in the list of a component of type Sequence, sequences inside of it included, or the one component
    /// itself.
    std::vector<JsonNode> components(const char* list) const;

private:
    const json& m_value;
    std::string m_where;
};

} // namespace kvloupe
