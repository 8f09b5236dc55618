// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/checkpoint/bounded_json.h"
#include "capture/checkpoint/checkpoint_error.h"
#include "capture/checkpoint/safetensors_checkpoint.h"
#include "capture/checkpoint/sha256.h"
#include "capture/tokenizer/tokenizer_definition.h"
#include "capture/tokenizer/tokenizer_error.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <map>

namespace kvloupe {

namespace {

using nlohmann::json;

constexpr JsonLimits tokenizerLimits{.bytes = std::size_t{256} << 20, .depth = 32};
constexpr std::size_t maximumSteps = 32;

/// A JSON object with the path that leads to it. A member that is null counts as absent.
class Node {
public:
    Node(const json& value, std::string where)
        : m_value(value)
        , m_where(std::move(where))
    {
    }

    [[noreturn]] void fail(const std::string& problem) const
    {
        throw TokenizerError(fmt::format("{}: {}", m_where, problem));
    }

    const std::string& where() const { return m_where; }
    const json& value() const { return m_value; }

    bool has(const char* name) const
    {
        const auto found = m_value.find(name);
        return found != m_value.end() && !found->is_null();
    }

    Node member(const char* name, json::value_t type) const
    {
        const std::string where = fmt::format("{}: {}", m_where, name);
        if (!has(name))
            throw TokenizerError(fmt::format("{}: is missing", where));
        return Node(m_value[name], where).expect(type);
    }

    const Node& expect(json::value_t type) const
    {
        if (m_value.type() != type)
            fail(fmt::format("found a JSON {}, expected a JSON {}", m_value.type_name(), json(type).type_name()));
        return *this;
    }

    std::string string(const char* name) const
    {
        return member(name, json::value_t::string).value().get<std::string>();
    }

    bool boolean(const char* name, bool fallback) const
    {
        return has(name) ? member(name, json::value_t::boolean).value().get<bool>() : fallback;
    }

    /// Refuses members that would change the result in a way we do not know.
    void refuse(const char* name, bool isPresent, std::string_view why) const
    {
        if (isPresent)
            fail(fmt::format("{}: {}", name, why));
    }

private:
    const json& m_value;
    std::string m_where;
};

std::int32_t tokenId(const json& value, const Node& node)
{
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() > static_cast<std::uint64_t>(largestTokenId))
        node.fail(fmt::format("a token id is no number from 0 to {}", largestTokenId));
    return value.get<std::int32_t>();
}

/// The entries of a Sequence, or the one component itself.
std::vector<Node> components(const Node& node, const char* list)
{
    node.expect(json::value_t::object);
    if (node.string("type") != "Sequence")
        return {node};
    const Node entries = node.member(list, json::value_t::array);
    if (entries.value().size() > maximumSteps)
        entries.fail(fmt::format("{} steps, at most {} are allowed", entries.value().size(), maximumSteps));
    std::vector<Node> result;
    for (const json& entry : entries.value())
        result.push_back(
            Node(entry, fmt::format("{}[{}]", entries.where(), result.size())).expect(json::value_t::object));
    return result;
}

void readNormalizer(const Node& root, TokenizerDefinition& definition)
{
    if (!root.has("normalizer"))
        return;
    for (const Node& step : components(root.member("normalizer", json::value_t::object), "normalizers")) {
        if (step.string("type") != "NFC")
            step.fail(
                fmt::format("the normalizer {} is not known (known: NFC, Sequence)", inQuotes(step.string("type"))));
        definition.composes = true;
    }
}

SplitBehavior behaviorOf(const Node& step)
{
    const std::map<std::string, SplitBehavior> behaviors = {{"Isolated", SplitBehavior::Isolated},
        {"Removed", SplitBehavior::Removed}, {"MergedWithPrevious", SplitBehavior::MergedWithPrevious},
        {"MergedWithNext", SplitBehavior::MergedWithNext}, {"Contiguous", SplitBehavior::Contiguous}};
    const auto found = behaviors.find(step.string("behavior"));
    if (found == behaviors.end())
        step.fail(fmt::format("behavior: {} is not known", inQuotes(step.string("behavior"))));
    return found->second;
}

SplitStep splitStep(const Node& step)
{
    const Node pattern = step.member("pattern", json::value_t::object);
    const bool isRegex = pattern.has("Regex");
    return {.pattern = pattern.string(isRegex ? "Regex" : "String"),
        .syntax = isRegex ? PatternSyntax::Regex : PatternSyntax::Literal,
        .behavior = behaviorOf(step),
        .invert = step.boolean("invert", false)};
}

void readPreTokenizer(const Node& root, TokenizerDefinition& definition)
{
    bool isByteLevel = false;
    for (const Node& step : components(root.member("pre_tokenizer", json::value_t::object), "pretokenizers")) {
        const std::string type = step.string("type");
        if (isByteLevel)
            step.fail("a step after ByteLevel is not supported");
        if (type == "Split") {
            definition.splitSteps.push_back(splitStep(step));
        } else if (type == "Digits") {
            const bool individual = step.boolean("individual_digits", false);
            definition.splitSteps.push_back(
                {.pattern = R"(\p{N})", .behavior = individual ? SplitBehavior::Isolated : SplitBehavior::Contiguous});
        } else if (type == "ByteLevel") {
            isByteLevel = true;
            step.refuse(
                "add_prefix_space", step.boolean("add_prefix_space", true), "a space before the text is not supported");
            if (step.boolean("use_regex", true))
                definition.splitSteps.push_back({.pattern = std::string(gpt2Pattern)});
        } else {
            step.fail(fmt::format(
                "the pre-tokenizer {} is not known (known: ByteLevel, Digits, Sequence, Split)", inQuotes(type)));
        }
    }
    if (!isByteLevel)
        root.fail("pre_tokenizer: has no ByteLevel step, only byte-level BPE is supported");
}

void readVocabulary(const Node& model, TokenizerDefinition& definition)
{
    const Node vocabulary = model.member("vocab", json::value_t::object);
    for (const auto& [token, value] : vocabulary.value().items()) {
        const auto id = static_cast<std::size_t>(tokenId(value, vocabulary));
        if (token.empty() || token.size() > longestToken)
            vocabulary.fail(fmt::format("token {} has {} bytes, expected 1 to {}", id, token.size(), longestToken));
        if (id >= definition.vocabulary.size())
            definition.vocabulary.resize(id + 1);
        if (!definition.vocabulary[id].empty())
            vocabulary.fail(fmt::format("the id {} occurs twice", id));
        definition.vocabulary[id] = token;
    }
    if (definition.vocabulary.empty())
        vocabulary.fail("is empty");
}

void readMerges(const Node& model, const VocabularyIndex& index, TokenizerDefinition& definition)
{
    const Node merges = model.member("merges", json::value_t::array);
    for (const json& merge : merges.value()) {
        const std::size_t rank = definition.merges.size();
        std::string left;
        std::string right;
        if (merge.is_string()) {
            const auto& text = merge.get_ref<const std::string&>();
            const std::size_t space = text.find(' ');
            left = text.substr(0, space);
            right = space == std::string::npos ? "" : text.substr(space + 1);
        } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
            left = merge[0].get<std::string>();
            right = merge[1].get<std::string>();
        }
        if (left.empty() || right.empty())
            merges.fail(fmt::format("merge {} does not hold two parts", rank));
        definition.merges.push_back(index.merge(left, right, rank));
    }
}

void readModel(const Node& root, TokenizerDefinition& definition)
{
    const Node model = root.member("model", json::value_t::object);
    // Files of old versions leave the type out; only BPE has merges.
    const std::string type = model.has("type") ? model.string("type") : model.has("merges") ? "BPE" : "";
    if (type != "BPE")
        model.fail(fmt::format("the model {} is not known (known: BPE)", inQuotes(type)));
    model.refuse("dropout", model.has("dropout") && model.value()["dropout"] != 0.0, "random merging is not supported");
    model.refuse("byte_fallback", model.boolean("byte_fallback", false), "only byte-level BPE is supported");
    for (const char* const name : {"continuing_subword_prefix", "end_of_word_suffix"})
        model.refuse(name, model.has(name) && !model.string(name).empty(), "only byte-level BPE is supported");
    definition.ignoresMerges = model.boolean("ignore_merges", false);
    readVocabulary(model, definition);
    const VocabularyIndex index(definition.vocabulary, definition.where);
    readMerges(model, index, definition);
    if (model.has("unk_token")) {
        definition.unknownId = index.find(model.string("unk_token"));
        if (definition.unknownId < 0)
            model.fail("unk_token: is not in the vocabulary");
        model.refuse("fuse_unk", model.boolean("fuse_unk", false), "is not supported");
    }
}

void readAddedTokens(const Node& root, TokenizerDefinition& definition)
{
    if (!root.has("added_tokens"))
        return;
    const Node list = root.member("added_tokens", json::value_t::array);
    for (const json& entry : list.value()) {
        const Node node = Node(entry, fmt::format("{}[{}]", list.where(), definition.addedTokens.size()))
                              .expect(json::value_t::object);
        AddedToken token;
        token.content = node.string("content");
        if (token.content.empty() || token.content.size() > longestToken)
            node.fail(fmt::format("content: {} bytes, expected 1 to {}", token.content.size(), longestToken));
        token.id = tokenId(node.value().value("id", json()), node);
        token.special = node.boolean("special", false);
        token.leftStrip = node.boolean("lstrip", false);
        token.rightStrip = node.boolean("rstrip", false);
        token.normalized = node.boolean("normalized", false);
        node.refuse("single_word", node.boolean("single_word", false), "is not supported");
        const auto id = static_cast<std::size_t>(token.id);
        const bool isTaken = id < definition.vocabulary.size() && !definition.vocabulary[id].empty();
        if (isTaken && definition.vocabulary[id] != token.content)
            node.fail(fmt::format("the id {} belongs to {} already", id, inQuotes(definition.vocabulary[id])));
        if (id >= definition.vocabulary.size())
            definition.vocabulary.resize(id + 1);
        definition.addedTokens.push_back(std::move(token));
    }
}

std::int32_t addedId(const TokenizerDefinition& definition, std::string_view content)
{
    const auto found = std::ranges::find(definition.addedTokens, content, &AddedToken::content);
    return found == definition.addedTokens.end() ? -1 : found->id;
}

/// TemplateProcessing's "single": special tokens before and after the one sequence.
void readTemplate(const Node& node, TokenizerDefinition& definition)
{
    const Node pieces = node.member("single", json::value_t::array);
    bool isAfter = false;
    for (const json& piece : pieces.value()) {
        if (piece.is_object() && piece.contains("Sequence")) {
            pieces.refuse("Sequence", isAfter, "occurs twice");
            isAfter = true;
            continue;
        }
        const Node special
            = Node(piece, pieces.where()).expect(json::value_t::object).member("SpecialToken", json::value_t::object);
        const std::string name = special.string("id");
        const Node tokens = node.member("special_tokens", json::value_t::object);
        const Node entry = tokens.member(name.c_str(), json::value_t::object);
        auto& target = isAfter ? definition.templateSuffix : definition.templatePrefix;
        for (const json& id : entry.member("ids", json::value_t::array).value()) {
            target.push_back(tokenId(id, entry));
            if (static_cast<std::size_t>(target.back()) >= definition.vocabulary.size())
                entry.fail(fmt::format("the id {} is outside the vocabulary", target.back()));
        }
    }
    if (!isAfter)
        pieces.fail("holds no Sequence");
}

void readPostProcessor(const Node& root, TokenizerDefinition& definition)
{
    if (!root.has("post_processor"))
        return;
    for (const Node& step : components(root.member("post_processor", json::value_t::object), "processors")) {
        const std::string type = step.string("type");
        if (type == "ByteLevel") {
            definition.trimsOffsets = step.boolean("trim_offsets", true);
            definition.keepsFirstSpace = step.boolean("add_prefix_space", true);
        } else if (type == "TemplateProcessing") {
            readTemplate(step, definition);
        } else {
            step.fail(fmt::format(
                "the post-processor {} is not known (known: ByteLevel, Sequence, TemplateProcessing)", inQuotes(type)));
        }
    }
}

void readDecoder(const Node& root)
{
    const std::string type
        = root.has("decoder") ? root.member("decoder", json::value_t::object).string("type") : "none";
    if (type != "ByteLevel")
        root.fail(fmt::format("decoder: {} is not known (known: ByteLevel)", inQuotes(type)));
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

} // namespace

TokenizerDefinition definitionFromJson(const std::filesystem::path& path)
{
    TokenizerDefinition definition;
    definition.where = path.string();
    definition.kind = "bpe (tokenizer.json)";
    const std::string text = readSmallFile(path, tokenizerLimits.bytes);
    const json document = parseJson(text, definition.where, tokenizerLimits);
    const Node root = Node(document, definition.where).expect(json::value_t::object);
    readNormalizer(root, definition);
    readPreTokenizer(root, definition);
    readModel(root, definition);
    readAddedTokens(root, definition);
    readPostProcessor(root, definition);
    readDecoder(root);
    readTokenizerConfig(path.parent_path(), definition);
    definition.sha256 = sha256Hex(text);
    return definition;
}

} // namespace kvloupe
