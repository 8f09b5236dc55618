// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tokenizer/models/read_model.h"

#include "capture/checkpoint/checkpoint_error.h"
#include "capture/tokenizer/models/character_model.h"
#include "capture/tokenizer/models/unigram_model.h"
#include "capture/tokenizer/tokenizer_error.h"

#include <fmt/format.h>

#include <cmath>

namespace kvloupe {

namespace {

using nlohmann::json;

void checkEntry(const JsonNode& vocabulary, const std::string& token, std::size_t id)
{
    if (token.empty() || token.size() > longestToken)
        vocabulary.fail(fmt::format("token {} has {} bytes, expected 1 to {}", id, token.size(), longestToken));
}

std::shared_ptr<const Vocabulary> readVocabulary(const JsonNode& model)
{
    const JsonNode vocabulary = model.member("vocab", json::value_t::object);
    std::vector<std::string> entries;
    for (const auto& [token, value] : vocabulary.value().items()) {
        const auto id = static_cast<std::size_t>(JsonNode(value, vocabulary.where()).tokenId());
        checkEntry(vocabulary, token, id);
        if (id >= entries.size())
            entries.resize(id + 1);
        if (!entries[id].empty())
            vocabulary.fail(fmt::format("the id {} occurs twice", id));
        entries[id] = token;
    }
    if (entries.empty())
        vocabulary.fail("is empty");
    return std::make_shared<const Vocabulary>(std::move(entries), model.where());
}

std::vector<PairMerge> readMerges(const JsonNode& model, const Vocabulary& vocabulary)
{
    const JsonNode merges = model.member("merges", json::value_t::array);
    std::vector<PairMerge> result;
    result.reserve(merges.value().size());
    for (const json& merge : merges.value()) {
        std::string_view left;
        std::string_view right;
        if (merge.is_string()) {
            const std::string_view text = merge.get_ref<const std::string&>();
            const std::size_t space = text.find(' ');
            left = text.substr(0, space);
            right = space == std::string_view::npos ? "" : text.substr(space + 1);
        } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
            left = merge[0].get_ref<const std::string&>();
            right = merge[1].get_ref<const std::string&>();
        }
        if (left.empty() || right.empty())
            merges.fail(fmt::format("merge {} does not hold two parts", result.size()));
        result.push_back(resolvedMerge(vocabulary, left, right, result.size(), model.where()));
    }
    return result;
}

ReadModel readPairs(const JsonNode& model, bool isByteLevel)
{
    model.refuse("dropout", model.has("dropout") && model.value()["dropout"] != 0.0, "random merging is not supported");
    for (const char* const name : {"continuing_subword_prefix", "end_of_word_suffix"})
        model.refuse(name, model.has(name) && !model.string(name).empty(), "is not supported");
    const bool fallsBack = model.boolean("byte_fallback", false);
    model.refuse("byte_fallback", isByteLevel && fallsBack, "is not supported after ByteLevel");

    auto vocabulary = readVocabulary(model);
    const std::vector<PairMerge> merges = readMerges(model, *vocabulary);
    PairModelOptions options{
        .ignoresMerges = model.boolean("ignore_merges", false), .fusesUnknown = model.boolean("fuse_unk", false)};
    if (model.has("unk_token")) {
        options.unknownId = vocabulary->find(model.string("unk_token"));
        if (options.unknownId < 0)
            model.fail("unk_token: is not in the vocabulary");
    }
    if (isByteLevel)
        return {vocabulary, std::make_unique<ByteLevelModel>(vocabulary, merges, options), "bpe"};
    return {vocabulary, std::make_unique<CharacterModel>(vocabulary, merges, options, fallsBack), "sentencepiece bpe"};
}

ReadModel readUnigram(const JsonNode& model, bool isByteLevel)
{
    if (isByteLevel)
        model.fail("Unigram after ByteLevel is not supported");
    const JsonNode list = model.member("vocab", json::value_t::array);
    std::vector<std::string> entries;
    std::vector<double> scores;
    for (const json& entry : list.value()) {
        if (!entry.is_array() || entry.size() != 2 || !entry[0].is_string() || !entry[1].is_number())
            list.fail(fmt::format("entry {} is no pair of a text and a number", entries.size()));
        entries.push_back(entry[0].get<std::string>());
        scores.push_back(entry[1].get<double>());
        checkEntry(list, entries.back(), entries.size() - 1);
        if (!std::isfinite(scores.back()))
            list.fail(fmt::format("the score of entry {} is not finite", scores.size() - 1));
    }
    if (entries.empty() || entries.size() > static_cast<std::size_t>(largestTokenId))
        list.fail(fmt::format("{} entries, expected 1 to {}", entries.size(), largestTokenId));
    std::int32_t unknownId = -1;
    if (model.has("unk_id")) {
        unknownId = JsonNode(model.value()["unk_id"], model.where() + ": unk_id").tokenId();
        if (static_cast<std::size_t>(unknownId) >= entries.size())
            model.fail(fmt::format("unk_id: {} is outside of the {} entries", unknownId, entries.size()));
    }
    auto vocabulary = std::make_shared<const Vocabulary>(std::move(entries), model.where());
    return {vocabulary,
        std::make_unique<UnigramModel>(vocabulary, std::move(scores), unknownId, model.boolean("byte_fallback", false)),
        "unigram"};
}

} // namespace

PairMerge resolvedMerge(const Vocabulary& vocabulary, std::string_view left, std::string_view right, std::size_t rank,
    const std::string& where)
{
    const PairMerge merge{vocabulary.find(left), vocabulary.find(right),
        vocabulary.find(std::string(left).append(right)), static_cast<std::int32_t>(rank)};
    if (merge.left < 0 || merge.right < 0 || merge.result < 0)
        throw TokenizerError(fmt::format("{}: merge {}: {} + {} needs tokens that are not in the vocabulary", where,
            rank, inQuotes(left), inQuotes(right)));
    return merge;
}

ReadModel readModel(const JsonNode& root, bool isByteLevel)
{
    const JsonNode model = root.member("model", json::value_t::object);
    // Files of old versions leave the type out; only BPE has merges.
    const std::string type = model.has("type") ? model.string("type") : model.has("merges") ? "BPE" : "";
    if (type == "BPE")
        return readPairs(model, isByteLevel);
    if (type == "Unigram")
        return readUnigram(model, isByteLevel);
    model.fail(fmt::format("the model {} is not supported (supported: BPE, Unigram)", inQuotes(type)));
}

} // namespace kvloupe
