// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/checkpoint/gguf_file.h"
#include "capture/checkpoint/sha256.h"
#include "capture/tokenizer/tokenizer_definition.h"
#include "capture/tokenizer/tokenizer_error.h"

#include <fmt/format.h>

#include <algorithm>

namespace kvloupe {

namespace {

// gguf.TokenType
constexpr std::int64_t normal = 1;
constexpr std::int64_t unknown = 2;
constexpr std::int64_t control = 3;
constexpr std::int64_t userDefined = 4;

TokenizerError failure(const GgufFile& file, std::string_view key, std::string_view problem)
{
    return TokenizerError(fmt::format("{}: {}: {}", file.path().string(), key, problem));
}

void readVocabulary(const GgufFile& file, TokenizerDefinition& definition)
{
    const auto tokens = file.findStrings("tokenizer.ggml.tokens");
    if (!tokens || tokens->empty())
        throw failure(file, "tokenizer.ggml.tokens", "is missing or empty");
    if (tokens->size() > static_cast<std::size_t>(largestTokenId))
        throw failure(file, "tokenizer.ggml.tokens", fmt::format("{} tokens are too many", tokens->size()));
    const auto types = file.findIntegers("tokenizer.ggml.token_type");
    if (types && types->size() != tokens->size())
        throw failure(
            file, "tokenizer.ggml.token_type", fmt::format("{} types for {} tokens", types->size(), tokens->size()));
    for (std::size_t id = 0; id < tokens->size(); ++id) {
        const std::string_view token = (*tokens)[id];
        if (token.empty() || token.size() > longestToken)
            throw failure(file, "tokenizer.ggml.tokens",
                fmt::format("token {} has {} bytes, expected 1 to {}", id, token.size(), longestToken));
        definition.vocabulary.emplace_back(token);
        const std::int64_t type = types ? (*types)[id] : normal;
        if (type == control || type == unknown || type == userDefined)
            definition.addedTokens.push_back(
                {.content = std::string(token), .id = static_cast<std::int32_t>(id), .special = type != userDefined});
    }
}

void readMerges(const GgufFile& file, TokenizerDefinition& definition)
{
    const auto merges = file.findStrings("tokenizer.ggml.merges");
    if (!merges)
        throw failure(file, "tokenizer.ggml.merges", "is missing");
    const VocabularyIndex index(definition.vocabulary, definition.where);
    for (const std::string_view merge : *merges) {
        const std::size_t space = merge.find(' ', 1);
        if (space == std::string_view::npos)
            throw failure(file, "tokenizer.ggml.merges",
                fmt::format("merge {} does not hold two parts", definition.merges.size()));
        definition.merges.push_back(
            index.merge(merge.substr(0, space), merge.substr(space + 1), definition.merges.size()));
    }
}

std::int32_t idOf(const GgufFile& file, std::string_view key, const TokenizerDefinition& definition)
{
    const auto largest = static_cast<std::int64_t>(definition.vocabulary.size()) - 1;
    return static_cast<std::int32_t>(file.findInteger(key, 0, largest).value_or(-1));
}

void readEnds(const GgufFile& file, bool addsBos, TokenizerDefinition& definition)
{
    definition.bosId = idOf(file, "tokenizer.ggml.bos_token_id", definition);
    for (const char* const key : {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id"})
        if (const std::int32_t id = idOf(file, key, definition); id >= 0)
            definition.eosIds.push_back(id);
    std::ranges::sort(definition.eosIds);
    definition.eosIds.erase(std::unique(definition.eosIds.begin(), definition.eosIds.end()), definition.eosIds.end());
    if (file.findBool("tokenizer.ggml.add_bos_token").value_or(addsBos)) {
        if (definition.bosId < 0)
            throw failure(file, "tokenizer.ggml.bos_token_id", "is missing, but every text begins with it");
        definition.templatePrefix = {definition.bosId};
    }
    if (file.findBool("tokenizer.ggml.add_eos_token").value_or(false)) {
        const std::int32_t id = idOf(file, "tokenizer.ggml.eos_token_id", definition);
        if (id < 0)
            throw failure(file, "tokenizer.ggml.eos_token_id", "is missing, but every text ends with it");
        definition.templateSuffix = {id};
    }
}

/// Over the tokenizer's entries alone, so that models of one family and different quantisation agree.
std::string hashOf(const GgufFile& file)
{
    std::string list;
    for (const auto& [key, value] : file.metadata())
        if (key.starts_with("tokenizer.ggml."))
            list += fmt::format("{} {} {}\n", key, ggufTypeName(value.type), sha256Hex(value.bytes));
    return sha256Hex(list);
}

} // namespace

TokenizerDefinition definitionFromGguf(const std::filesystem::path& path)
{
    const GgufFile file(path);
    TokenizerDefinition definition;
    definition.where = path.string();
    const std::string_view model = file.requireString("tokenizer.ggml.model");
    if (model != "gpt2")
        throw failure(file, "tokenizer.ggml.model",
            fmt::format("the tokenizer {} is not known (known: gpt2, which is byte-level BPE)", inQuotes(model)));
    const std::string_view name = file.requireString("tokenizer.ggml.pre");
    NamedPreTokenizer steps = namedPreTokenizer(name, fmt::format("{}: tokenizer.ggml.pre", definition.where));
    definition.kind = fmt::format("bpe {} (gguf)", name);
    definition.splitSteps = std::move(steps.steps);
    definition.composes = steps.composes;
    definition.ignoresMerges = steps.ignoresMerges;
    readVocabulary(file, definition);
    readMerges(file, definition);
    readEnds(file, steps.addsBos, definition);
    definition.chatTemplate = file.findString("tokenizer.chat_template").value_or("");
    definition.sha256 = hashOf(file);
    return definition;
}

} // namespace kvloupe
