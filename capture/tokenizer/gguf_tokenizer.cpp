// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/checkpoint/gguf_file.h"
#include "capture/checkpoint/sha256.h"
#include "capture/tokenizer/models/character_model.h"
#include "capture/tokenizer/models/read_model.h"
#include "capture/tokenizer/normalizers/prepend_normalizer.h"
#include "capture/tokenizer/normalizers/replace_normalizer.h"
#include "capture/tokenizer/normalizers/unicode_form_normalizer.h"
#include "capture/tokenizer/pre_tokenizers/split_step.h"
#include "capture/tokenizer/tokenizer_definition.h"
#include "capture/tokenizer/tokenizer_error.h"
#include "capture/tokenizer/utf8_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>
#include <memory>
#include <numeric>
#include <utility>

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
        definition.entries.emplace_back(token);
        const std::int64_t type = types ? (*types)[id] : normal;
        if (type == control || type == unknown || type == userDefined)
            definition.addedTokens.push_back(
                {.content = std::string(token), .id = static_cast<std::int32_t>(id), .special = type != userDefined});
    }
}

std::vector<PairMerge> readMerges(const GgufFile& file, const Vocabulary& vocabulary)
{
    const auto merges = file.findStrings("tokenizer.ggml.merges");
    if (!merges)
        throw failure(file, "tokenizer.ggml.merges", "is missing");
    std::vector<PairMerge> result;
    for (const std::string_view merge : *merges) {
        const std::size_t space = merge.find(' ', 1);
        if (space == std::string_view::npos)
            throw failure(
                file, "tokenizer.ggml.merges", fmt::format("merge {} does not hold two parts", result.size()));
        result.push_back(resolvedMerge(
            vocabulary, merge.substr(0, space), merge.substr(space + 1), result.size(), file.path().string()));
    }
    return result;
}

/// SentencePiece merges the two neighbours whose concatenation has the greatest score, the leftmost of equals.
std::vector<PairMerge> mergesFromScores(const GgufFile& file, const Vocabulary& vocabulary)
{
    const auto scores = file.findReals("tokenizer.ggml.scores");
    const std::vector<std::string>& entries = vocabulary.entries();
    if (!scores || scores->size() != entries.size())
        throw failure(file, "tokenizer.ggml.scores",
            fmt::format("{} scores for {} tokens", scores ? scores->size() : 0, entries.size()));
    std::vector<std::size_t> order(entries.size());
    std::iota(order.begin(), order.end(), 0);
    std::ranges::stable_sort(order, std::greater<>(), [&](std::size_t id) { return (*scores)[id]; });
    std::vector<PairMerge> merges;
    std::int32_t rank = 0;
    for (std::size_t i = 0; i < order.size(); ++i) {
        if (i > 0 && (*scores)[order[i]] < (*scores)[order[i - 1]])
            ++rank;
        const std::string_view entry = entries[order[i]];
        if (firstInvalidUtf8(entry) != entry.size())
            continue;
        for (std::size_t at = characterLength(entry); at < entry.size(); at += characterLength(entry.substr(at))) {
            const std::int32_t left = vocabulary.find(entry.substr(0, at));
            const std::int32_t right = left < 0 ? -1 : vocabulary.find(entry.substr(at));
            if (right >= 0)
                merges.push_back({left, right, static_cast<std::int32_t>(order[i]), rank});
        }
    }
    return merges;
}

std::int32_t idOf(const GgufFile& file, std::string_view key, const TokenizerDefinition& definition)
{
    const auto largest = static_cast<std::int64_t>(definition.entries.size()) - 1;
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

/// What a name in "tokenizer.ggml.pre" stands for.
struct NamedPreTokenizer {
    std::vector<SplitStep::Definition> steps;
    bool composes = false; ///< normalises to NFC first
    bool ignoresMerges = false; ///< a piece that is a vocabulary entry is never split
    bool addsBos = false; ///< unless the file says otherwise
};

NamedPreTokenizer namedPreTokenizer(std::string_view name, const std::string& where)
{
    // The tokenizer.json of Llama 3 and of Qwen 2; they differ in how many digits stay together.
    constexpr std::string_view modern = R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|{}|)"
                                        R"( ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
    NamedPreTokenizer result;
    if (name == "gpt-2") {
        result.steps = {{.pattern = std::string(gpt2Pattern)}};
    } else if (name == "smollm") {
        // tokenizer.json of SmolLM and SmolLM2: Digits(individual_digits), then ByteLevel.
        result.steps = {{.pattern = R"(\p{N})"}, {.pattern = std::string(gpt2Pattern)}};
    } else if (name == "llama-bpe" || name == "llama3" || name == "llama-v3") {
        result.steps = {{.pattern = fmt::format(modern, R"(\p{N}{1,3})")}};
        result.ignoresMerges = true;
        result.addsBos = true;
    } else if (name == "qwen2" || name == "deepseek-r1-qwen") {
        result.steps = {{.pattern = fmt::format(modern, R"(\p{N})")}};
        result.composes = true;
    } else {
        throw TokenizerError(fmt::format("{}: the pre-tokenizer {} is not known (known: deepseek-r1-qwen, gpt-2, "
                                         "llama-bpe, llama-v3, llama3, qwen2, "
                                         "smollm)",
            where, inQuotes(name)));
    }
    return result;
}

/// Byte-level BPE with merges and a pre-tokenizer by name.
void readByteLevel(const GgufFile& file, TokenizerDefinition& definition)
{
    const std::string_view name = file.requireString("tokenizer.ggml.pre");
    const std::string where = fmt::format("{}: tokenizer.ggml.pre", definition.where);
    const NamedPreTokenizer named = namedPreTokenizer(name, where);
    definition.kind = fmt::format("bpe {} (gguf)", name);
    for (const SplitStep::Definition& step : named.steps)
        definition.preTokenizers.push_back(std::make_unique<SplitStep>(step, where));
    if (named.composes)
        definition.normalizers.push_back(std::make_unique<UnicodeFormNormalizer>(UnicodeForm::Nfc));
    readVocabulary(file, definition);
    const auto vocabulary = std::make_shared<const Vocabulary>(definition.entries, definition.where);
    definition.model = std::make_unique<ByteLevelModel>(
        vocabulary, readMerges(file, *vocabulary), PairModelOptions{.ignoresMerges = named.ignoresMerges});
    definition.decoder.usesByteAlphabet = true;
    readEnds(file, named.addsBos, definition);
}

/// SentencePiece's BPE: scores, a mark for every space, bytes for what has no token (llama.cpp, llm_tokenizer_spm).
void readSentencePiece(const GgufFile& file, TokenizerDefinition& definition)
{
    definition.kind = "sentencepiece bpe (gguf)";
    const bool addsSpace = file.findBool("tokenizer.ggml.add_space_prefix").value_or(true);
    if (addsSpace)
        definition.normalizers.push_back(std::make_unique<PrependNormalizer>(std::string(spaceMark)));
    definition.normalizers.push_back(std::make_unique<ReplaceNormalizer>(
        SplitPattern(" ", PatternSyntax::Literal, definition.where), std::string(spaceMark)));
    readVocabulary(file, definition);
    const auto vocabulary = std::make_shared<const Vocabulary>(definition.entries, definition.where);
    const PairModelOptions options{.unknownId = idOf(file, "tokenizer.ggml.unknown_token_id", definition)};
    definition.model = std::make_unique<CharacterModel>(vocabulary, mergesFromScores(file, *vocabulary), options, true);
    definition.decoder.fallsBackToBytes = true;
    definition.decoder.replacements = {{std::string(spaceMark), " "}};
    definition.decoder.dropsFirstSpace = addsSpace;
    readEnds(file, true, definition);
}

/// For a name in "tokenizer.ggml.model" that is not read, with what llama.cpp means by it.
TokenizerError unsupported(const GgufFile& file, std::string_view model)
{
    constexpr std::array<std::pair<std::string_view, std::string_view>, 5> kinds
        = {{{"bert", ", WordPiece,"}, {"t5", ", the Unigram model of encoder-decoders,"}, {"rwkv", ", RWKV's trie,"},
            {"plamo2", ", PLaMo's,"}, {"no_vocab", ", which is none,"}}};
    const auto found = std::ranges::find(kinds, model, &std::pair<std::string_view, std::string_view>::first);
    return failure(file, "tokenizer.ggml.model",
        fmt::format(
            "the tokenizer {}{} is not supported (supported: gpt2, which is byte-level BPE, and llama, which is "
            "SentencePiece's BPE)",
            inQuotes(model), found == kinds.end() ? "" : found->second));
}

} // namespace

TokenizerDefinition definitionFromGguf(const std::filesystem::path& path)
{
    const GgufFile file(path);
    TokenizerDefinition definition;
    definition.where = path.string();
    const std::string_view model = file.requireString("tokenizer.ggml.model");
    if (model == "gpt2")
        readByteLevel(file, definition);
    else if (model == "llama")
        readSentencePiece(file, definition);
    else
        throw unsupported(file, model);
    definition.chatTemplate = file.findString("tokenizer.chat_template").value_or("");
    definition.sha256 = hashOf(file);
    return definition;
}

} // namespace kvloupe
