// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tokenizer/json_node.h"

#include "capture/tokenizer/tokenizer_error.h"
#include "capture/tokenizer/vocabulary.h"

#include <fmt/format.h>

namespace kvloupe {

namespace {

constexpr std::size_t maximumSteps = 32;

} // namespace

void JsonNode::fail(const std::string& problem) const
{
    throw TokenizerError(fmt::format("{}: {}", m_where, problem));
}

bool JsonNode::has(const char* name) const
{
    const auto found = m_value.find(name);
    return found != m_value.end() && !found->is_null();
}

JsonNode JsonNode::member(const char* name, json::value_t type) const
{
    const std::string where = fmt::format("{}: {}", m_where, name);
    if (!has(name))
        throw TokenizerError(fmt::format("{}: is missing", where));
    return JsonNode(m_value[name], where).expect(type);
}

const JsonNode& JsonNode::expect(json::value_t type) const
{
    if (m_value.type() != type)
        fail(fmt::format("found a JSON {}, expected a JSON {}", m_value.type_name(), json(type).type_name()));
    return *this;
}

std::string JsonNode::string(const char* name) const
{
    return member(name, json::value_t::string).value().get<std::string>();
}

bool JsonNode::boolean(const char* name, bool fallback) const
{
    return has(name) ? member(name, json::value_t::boolean).value().get<bool>() : fallback;
}

std::int32_t JsonNode::tokenId() const
{
    if (!m_value.is_number_unsigned() || m_value.get<std::uint64_t>() > static_cast<std::uint64_t>(largestTokenId))
        fail(fmt::format("a token id is no number from 0 to {}", largestTokenId));
    return m_value.get<std::int32_t>();
}

void JsonNode::refuse(const char* name, bool isPresent, std::string_view why) const
{
    if (isPresent)
        fail(fmt::format("{}: {}", name, why));
}

std::vector<JsonNode> JsonNode::components(const char* list) const
{
    expect(json::value_t::object);
    if (string("type") != "Sequence")
        return {*this};
    const JsonNode entries = member(list, json::value_t::array);
    std::vector<JsonNode> result;
    std::size_t position = 0;
    for (const json& entry : entries.value()) {
        const JsonNode step(entry, fmt::format("{}[{}]", entries.where(), position++));
        for (const JsonNode& part : step.components(list))
            result.push_back(part);
        if (result.size() > maximumSteps)
            entries.fail(fmt::format("more than {} steps", maximumSteps));
    }
    return result;
}

} // namespace kvloupe
