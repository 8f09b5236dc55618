// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/checkpoint/bounded_json.h"
#include "capture/checkpoint/checkpoint_error.h"
#include "capture/checkpoint/safetensors_checkpoint.h"
#include "capture/checkpoint/sha256.h"
#include "capture/tokenizer/json_node.h"
#include "capture/tokenizer/models/read_model.h"
#include "capture/tokenizer/normalizers/read_normalizers.h"
#include "capture/tokenizer/pre_tokenizers/read_pre_tokenizers.h"
#include "capture/tokenizer/tokenizer_definition.h"
#include "capture/tokenizer/tokenizer_error.h"
#include "capture/tokenizer/vocabulary.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace kvloupe {

namespace {

using nlohmann::json;

constexpr JsonLimits tokenizerLimits{.bytes = std::size_t{256} << 20, .depth = 32};

void readAddedTokens(const JsonNode& root, TokenizerDefinition& definition)
{
    if (!root.has("added_tokens"))
        return;
    const JsonNode list = root.member("added_tokens", json::value_t::array);
    for (const json& entry : list.value()) {
        const JsonNode node = JsonNode(entry, fmt::format("{}[{}]", list.where(), definition.addedTokens.size()))
                                  .expect(json::value_t::object);
        AddedToken token;
        token.content = node.string("content");
        if (token.content.empty() || token.content.size() > longestToken)
            node.fail(fmt::format("content: {} bytes, expected 1 to {}", token.content.size(), longestToken));
        token.id = node.has("id") ? JsonNode(node.value()["id"], node.where() + ": id").tokenId() : node.tokenId();
        token.special = node.boolean("special", false);
        token.singleWord = node.boolean("single_word", false);
        token.leftStrip = node.boolean("lstrip", false);
        token.rightStrip = node.boolean("rstrip", false);
        token.normalized = node.boolean("normalized", false);
        const auto id = static_cast<std::size_t>(token.id);
        const bool isTaken = id < definition.entries.size() && !definition.entries[id].empty();
        if (isTaken && definition.entries[id] != token.content)
            node.fail(fmt::format("the id {} belongs to {} already", id, inQuotes(definition.entries[id])));
        if (id >= definition.entries.size())
            definition.entries.resize(id + 1);
        definition.addedTokens.push_back(std::move(token));
    }
}

std::int32_t addedId(const TokenizerDefinition& definition, std::string_view content)
{
    const auto found = std::ranges::find(definition.addedTokens, content, &AddedToken::content);
    return found == definition.addedTokens.end() ? -1 : found->id;
}

/// TemplateProcessing's "single": special tokens before and after the one sequence.
void readTemplate(const JsonNode& node, TokenizerDefinition& definition)
{
    const JsonNode pieces = node.member("single", json::value_t::array);
    bool isAfter = false;
    for (const json& piece : pieces.value()) {
        if (piece.is_object() && piece.contains("Sequence")) {
            pieces.refuse("Sequence", isAfter, "occurs twice");
            isAfter = true;
            continue;
        }
        const JsonNode special = JsonNode(piece, pieces.where())
                                     .expect(json::value_t::object)
                                     .member("SpecialToken", json::value_t::object);
        const std::string name = special.string("id");
        const JsonNode tokens = node.member("special_tokens", json::value_t::object);
        const JsonNode entry = tokens.member(name.c_str(), json::value_t::object);
        auto& target = isAfter ? definition.templateSuffix : definition.templatePrefix;
        for (const json& id : entry.member("ids", json::value_t::array).value()) {
            target.push_back(JsonNode(id, entry.where()).tokenId());
            if (static_cast<std::size_t>(target.back()) >= definition.entries.size())
                entry.fail(fmt::format("the id {} is outside the vocabulary", target.back()));
        }
    }
    if (!isAfter)
        pieces.fail("holds no Sequence");
}

/// "cls": ["<s>", 0]
std::int32_t pairedId(const JsonNode& step, const char* name, const TokenizerDefinition& definition)
{
    const JsonNode pair = step.member(name, json::value_t::array);
    if (pair.value().size() != 2)
        pair.fail("is no pair of a token and its id");
    const std::int32_t id = JsonNode(pair.value()[1], pair.where()).tokenId();
    if (static_cast<std::size_t>(id) >= definition.entries.size())
        pair.fail(fmt::format("the id {} is outside the vocabulary", id));
    return id;
}

void readPostProcessor(const JsonNode& root, TokenizerDefinition& definition)
{
    if (!root.has("post_processor"))
        return;
    for (const JsonNode& step : root.member("post_processor", json::value_t::object).components("processors")) {
        const std::string type = step.string("type");
        if (type == "ByteLevel") {
            definition.trimsOffsets = step.boolean("trim_offsets", true);
            definition.keepsFirstSpace = step.boolean("add_prefix_space", true);
        } else if (type == "TemplateProcessing") {
            readTemplate(step, definition);
        } else if (type == "BertProcessing" || type == "RobertaProcessing") {
            definition.templatePrefix.push_back(pairedId(step, "cls", definition));
            definition.templateSuffix.push_back(pairedId(step, "sep", definition));
            if (type == "RobertaProcessing") {
                definition.trimsOffsets = step.boolean("trim_offsets", true);
                definition.keepsFirstSpace = step.boolean("add_prefix_space", true);
            }
        } else {
            step.fail(fmt::format("the post-processor {} is not known (known: BertProcessing, ByteLevel, "
                                  "RobertaProcessing, Sequence, TemplateProcessing)",
                inQuotes(type)));
        }
    }
}

std::pair<std::string, std::string> replacementOf(const JsonNode& step)
{
    const JsonNode pattern = step.member("pattern", json::value_t::object);
    const std::string from = pattern.string("String"); // a Regex is refused
    const std::string to = step.string("content");
    if (from.empty() || from.size() > longestToken || to.size() > longestToken)
        step.fail("a replacement of nothing, or one that is too long");
    return {from, to};
}

void readDecoder(const JsonNode& root, TokenDecoder& decoder)
{
    if (!root.has("decoder"))
        root.fail("decoder: is missing");
    bool isFused = false;
    for (const JsonNode& step : root.member("decoder", json::value_t::object).components("decoders")) {
        const std::string type = step.string("type");
        if (type == "ByteLevel") {
            decoder.usesByteAlphabet = true;
        } else if (type == "ByteFallback") {
            decoder.fallsBackToBytes = true;
        } else if (type == "Fuse") {
            isFused = true;
        } else if (type == "Replace") {
            decoder.replacements.push_back(replacementOf(step));
        } else if (type == "Metaspace") {
            const std::string scheme = step.has("prepend_scheme") ? step.string("prepend_scheme") : "always";
            decoder.replacements.emplace_back(step.string("replacement"), " ");
            decoder.dropsSpacesOfFirstToken = scheme != "never" && step.boolean("add_prefix_space", true);
        } else if (type == "Strip" && isFused && step.string("content") == " "
            && step.value().value("start", json()) == 1 && step.value().value("stop", json()) == 0) {
            decoder.dropsFirstSpace = true;
        } else {
            step.fail(fmt::format("the decoder {} is not known (known: ByteFallback, ByteLevel, Fuse, Metaspace, "
                                  "Replace, Sequence, Strip of one space before a fused text)",
                inQuotes(type)));
        }
    }
}

/// "bos_token": "<s>", or an object with its content.
std::int32_t namedToken(const json& config, const char* name, const TokenizerDefinition& definition)
{
    const json value = config.value(name, json());
    if (value.is_string())
        return addedId(definition, value.get_ref<const std::string&>());
    if (value.is_object() && value.contains("content") && value["content"].is_string())
        return addedId(definition, value["content"].get_ref<const std::string&>());
    return -1;
}

} // namespace

void readTokenizerConfig(const std::filesystem::path& folder, TokenizerDefinition& definition)
{
    const std::filesystem::path path = folder / "tokenizer_config.json";
    if (std::filesystem::exists(path)) {
        const json config = readJsonObject(path, tokenizerLimits);
        definition.bosId = namedToken(config, "bos_token", definition);
        if (const std::int32_t eos = namedToken(config, "eos_token", definition); eos >= 0)
            definition.eosIds = {eos};
    }
    definition.chatTemplate = chatTemplateOfFolder(folder);
}

TokenizerDefinition definitionFromJson(const std::filesystem::path& path)
{
    TokenizerDefinition definition;
    definition.where = path.string();
    const std::string text = readSmallFile(path, tokenizerLimits.bytes);
    const json document = parseJson(text, definition.where, tokenizerLimits);
    const JsonNode root = JsonNode(document, definition.where).expect(json::value_t::object);
    definition.normalizers = readNormalizers(root);
    PreTokenizerSteps cuts = readPreTokenizers(root);
    definition.preTokenizers = std::move(cuts.steps);
    ReadModel model = readModel(root, cuts.isByteLevel);
    definition.kind = fmt::format("{} (tokenizer.json)", model.kind);
    definition.model = std::move(model.model);
    definition.entries = model.vocabulary->entries();
    readAddedTokens(root, definition);
    readPostProcessor(root, definition);
    readDecoder(root, definition.decoder);
    if (cuts.isByteLevel != definition.decoder.usesByteAlphabet)
        root.fail("decoder: ByteLevel stands in the pre-tokenizer or in the decoder, but not in both");
    readTokenizerConfig(path.parent_path(), definition);
    if (definition.bosId < 0
        && !definition.templatePrefix.empty()) // there is no tokenizer_config.json, or it is silent
        definition.bosId = definition.templatePrefix.front();
    definition.sha256 = sha256Hex(text);
    return definition;
}

} // namespace kvloupe
