// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/recorder/prompt_input.h"

#include "capture/checkpoint/bounded_json.h"
#include "capture/tokenizer/utf8_text.h"
#include "core/prompt/span_json.h"

#include <fmt/format.h>
#include <fmt/std.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <limits>
#include <string_view>

namespace kvloupe {

namespace {

using Json = nlohmann::json;

constexpr std::size_t maximumFileBytes = std::size_t{256} << 20;
constexpr int maximumDepth = 16;

/// Where in the input we are, for messages: "prompts.jsonl line 3".
struct Place {
    std::string text;

    [[noreturn]] void fail(std::string_view field, std::string_view found, std::string_view expected) const
    {
        throw PromptError(fmt::format("{}: {}: found {}, expected {}", text, field, found, expected));
    }
};

Json parse(std::string_view text, const Place& place)
{
    return parseJson(text, place.text, {maximumFileBytes, maximumDepth});
}

std::string stringField(const Json& object, const char* field, const Place& place)
{
    const auto found = object.find(field);
    if (found == object.end()) {
        return {};
    }
    if (!found->is_string()) {
        place.fail(field, found->type_name(), "a string");
    }
    return found->get<std::string>();
}

std::int64_t integer(
    const Json& value, std::string_view field, const Place& place, std::int64_t least, std::int64_t most)
{
    if (!value.is_number_integer()) {
        place.fail(field, value.type_name(), "a whole number");
    }
    if (value.is_number_unsigned() && value.get<std::uint64_t>() > static_cast<std::uint64_t>(most)) {
        place.fail(field, value.dump(), fmt::format("{} to {}", least, most));
    }
    const auto number = value.get<std::int64_t>();
    if (number < least || number > most) {
        place.fail(field, value.dump(), fmt::format("{} to {}", least, most));
    }
    return number;
}

PromptInput prompt(const Json& object, const Place& place)
{
    if (!object.is_object()) {
        place.fail("line", object.type_name(), "an object with text or messages");
    }
    PromptInput result;
    result.id = stringField(object, "id", place);
    result.pairId = stringField(object, "pair_id", place);
    result.task = stringField(object, "task", place);
    result.text = stringField(object, "text", place);
    if (const auto seed = object.find("seed"); seed != object.end()) {
        result.seed = integer(
            *seed, "seed", place, std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max());
    }
    if (const auto messages = object.find("messages"); messages != object.end()) {
        if (!messages->is_array()) {
            place.fail("messages", messages->type_name(), "a list of objects with role and content");
        }
        for (const Json& message : *messages) {
            if (!message.is_object() || !message.contains("role") || !message.contains("content")) {
                place.fail("messages", message.dump().substr(0, 60), "objects with role and content");
            }
            result.messages.push_back({stringField(message, "role", place), stringField(message, "content", place)});
        }
    }
    if (result.text.empty() == result.messages.empty()) {
        place.fail("text", result.text.empty() ? "neither text nor messages" : "both text and messages",
            "one of them, not empty");
    }
    if (const auto spans = object.find("spans"); spans != object.end()) {
        result.spans = spansFromJson(spans->dump(), place.text + ": spans");
    }
    return result;
}

std::vector<std::int32_t> idList(const Json& list, const Place& place)
{
    std::vector<std::int32_t> ids;
    for (const Json& id : list) {
        ids.push_back(
            static_cast<std::int32_t>(integer(id, "token id", place, 0, std::numeric_limits<std::int32_t>::max())));
    }
    if (ids.empty()) {
        place.fail("ids", "an empty list", "at least one token id");
    }
    return ids;
}

} // namespace

std::string readPromptFile(const std::filesystem::path& file)
{
    std::string text = readSmallFile(file, maximumFileBytes);
    if (const std::size_t bad = firstInvalidUtf8(text); bad < text.size()) {
        throw PromptError(fmt::format("{}: byte {} is not UTF-8 (0x{:02X}), expected UTF-8 text", file.string(), bad,
            static_cast<unsigned char>(text[bad])));
    }
    return text;
}

std::vector<PromptInput> readPromptLines(const std::filesystem::path& file)
{
    const std::string text = readPromptFile(file);
    std::vector<PromptInput> prompts;
    std::size_t begin = 0;
    for (int line = 1; begin < text.size(); ++line) {
        const std::size_t end = std::min(text.find('\n', begin), text.size());
        const auto content = std::string_view(text).substr(begin, end - begin);
        begin = end + 1;
        if (content.find_first_not_of(" \t\r") == std::string_view::npos) {
            continue;
        }
        const Place place{fmt::format("{} line {}", file.string(), line)};
        prompts.push_back(prompt(parse(content, place), place));
        if (prompts.back().id.empty()) {
            prompts.back().id = fmt::format("{}:{}", file.filename().string(), line);
        }
    }
    if (prompts.empty()) {
        throw PromptError(fmt::format("{}: no prompts in it, expected one JSON object per line", file.string()));
    }
    return prompts;
}

std::vector<PromptInput> readTokenIds(const std::filesystem::path& file)
{
    const Place place{file.string()};
    const Json list = parse(readPromptFile(file), place);
    if (!list.is_array() || list.empty()) {
        place.fail("ids", list.is_array() ? "an empty list" : list.type_name(),
            "a list of token ids, or a list of such lists");
    }
    std::vector<PromptInput> prompts;
    if (list.front().is_array()) {
        for (const Json& ids : list) {
            if (!ids.is_array()) {
                place.fail("ids", ids.type_name(), "only lists in a list of lists");
            }
            prompts.emplace_back().ids = idList(ids, place);
        }
    } else {
        prompts.emplace_back().ids = idList(list, place);
    }
    return prompts;
}

} // namespace kvloupe
