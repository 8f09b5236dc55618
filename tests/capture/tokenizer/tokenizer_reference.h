// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/tokenizer/tokenizer.h"
#include "tests/support/gguf_builder.h"

#include <nlohmann/json.hpp>

#include <array>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

namespace kvloupe {

/// tokenizer_reference.json; its maker script beside it explains the fields.
inline nlohmann::json tokenizerReference()
{
    std::ifstream file(KVLOUPE_TEST_DATA "/tokenizer_reference.json");
    return nlohmann::json::parse(file);
}

inline std::filesystem::path tokenizerJsonPath(std::string_view family)
{
    return std::filesystem::path(KVLOUPE_TEST_DATA) / "tokenizers" / (std::string(family) + ".json");
}

/// Byte offset of each character, and the end: turns offsets in characters into offsets in bytes.
inline std::vector<std::int64_t> characterStarts(std::string_view text)
{
    std::vector<std::int64_t> starts;
    for (std::size_t i = 0; i < text.size(); ++i)
        if ((static_cast<unsigned char>(text[i]) & 0xc0) != 0x80)
            starts.push_back(static_cast<std::int64_t>(i));
    starts.push_back(static_cast<std::int64_t>(text.size()));
    return starts;
}

/// Our byte offsets widened to whole characters, in characters: what Hugging Face reports.
inline std::vector<std::array<std::int64_t, 2>> inCharacters(std::string_view text, const Encoding& encoding)
{
    const auto starts = characterStarts(text);
    const auto characterAt
        = [&](std::int64_t byte) { return std::upper_bound(starts.begin(), starts.end(), byte) - starts.begin() - 1; };
    std::vector<std::array<std::int64_t, 2>> result;
    for (const auto& [begin, end] : encoding.offsets) {
        const std::int64_t first = characterAt(begin);
        result.push_back({first, end > begin ? characterAt(end - 1) + 1 : first});
    }
    return result;
}

/// The metadata a converter would write for a tokenizer.json: same vocabulary, same merges, special tokens as control
/// tokens.
inline GgufBuilder ggufFromTokenizerJson(const nlohmann::json& document, std::string_view pre)
{
    std::vector<std::string> tokens;
    std::vector<std::int32_t> types;
    const auto place = [&](const std::string& token, std::size_t id, std::int32_t type) {
        if (id >= tokens.size()) {
            tokens.resize(id + 1);
            types.resize(id + 1, 1);
        }
        tokens[id] = token;
        types[id] = type;
    };
    for (const auto& [token, id] : document["model"]["vocab"].items())
        place(token, id.get<std::size_t>(), 1);
    for (const auto& token : document["added_tokens"])
        place(token["content"].get<std::string>(), token["id"].get<std::size_t>(), 3);
    std::vector<std::string> merges;
    for (const auto& merge : document["model"]["merges"])
        merges.push_back(merge[0].get<std::string>() + " " + merge[1].get<std::string>());
    GgufBuilder builder;
    builder.add("general.architecture", "llama")
        .add("tokenizer.ggml.model", "gpt2")
        .add("tokenizer.ggml.pre", std::string(pre))
        .add("tokenizer.ggml.tokens", tokens)
        .add("tokenizer.ggml.token_type", types)
        .add("tokenizer.ggml.merges", merges);
    return builder;
}

} // namespace kvloupe
