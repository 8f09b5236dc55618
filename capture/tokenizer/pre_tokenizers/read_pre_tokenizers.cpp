// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tokenizer/pre_tokenizers/read_pre_tokenizers.h"

#include "capture/checkpoint/checkpoint_error.h"
#include "capture/tokenizer/pre_tokenizers/metaspace_step.h"
#include "capture/tokenizer/pre_tokenizers/prefix_space_step.h"
#include "capture/tokenizer/pre_tokenizers/split_step.h"
#include "capture/tokenizer/utf8_text.h"

#include <fmt/format.h>

#include <map>

namespace kvloupe {

namespace {

using nlohmann::json;

// What Rust's regex and char::is_whitespace mean, in our syntax.
constexpr std::string_view punctuation = R"([!-/:-@\[-`{-~\p{P}])";
constexpr std::string_view wordsAndSymbols = R"(\w+|[^\w\s]+)";

SplitBehavior behaviorOf(const JsonNode& step)
{
    const std::map<std::string, SplitBehavior> behaviors = {{"Isolated", SplitBehavior::Isolated},
        {"Removed", SplitBehavior::Removed}, {"MergedWithPrevious", SplitBehavior::MergedWithPrevious},
        {"MergedWithNext", SplitBehavior::MergedWithNext}, {"Contiguous", SplitBehavior::Contiguous}};
    const auto found = behaviors.find(step.string("behavior"));
    if (found == behaviors.end())
        step.fail(fmt::format("behavior: {} is not known", inQuotes(step.string("behavior"))));
    return found->second;
}

MetaspaceStep::Prepend prependOf(const JsonNode& step)
{
    if (!step.boolean("add_prefix_space", true))
        return MetaspaceStep::Prepend::Never;
    const std::string scheme = step.has("prepend_scheme") ? step.string("prepend_scheme") : "always";
    if (scheme == "never")
        return MetaspaceStep::Prepend::Never;
    if (scheme == "first")
        return MetaspaceStep::Prepend::First;
    if (scheme != "always")
        step.fail(fmt::format("prepend_scheme: {} is not known (known: always, first, never)", inQuotes(scheme)));
    return MetaspaceStep::Prepend::Always;
}

SplitStep::Definition splitOf(const JsonNode& step)
{
    const JsonNode pattern = step.member("pattern", json::value_t::object);
    const bool isRegex = pattern.has("Regex");
    return {.pattern = pattern.string(isRegex ? "Regex" : "String"),
        .syntax = isRegex ? PatternSyntax::Regex : PatternSyntax::Literal,
        .behavior = behaviorOf(step),
        .invert = step.boolean("invert", false)};
}

void readStep(const JsonNode& step, PreTokenizerSteps& result)
{
    const auto split = [&](SplitStep::Definition definition) {
        result.steps.push_back(std::make_unique<SplitStep>(definition, step.where()));
    };
    const std::string type = step.string("type");
    if (result.isByteLevel)
        step.fail("a step after ByteLevel is not supported");
    if (type == "Split") {
        split(splitOf(step));
    } else if (type == "Digits") {
        const bool individual = step.boolean("individual_digits", false);
        split({.pattern = R"(\p{N})", .behavior = individual ? SplitBehavior::Isolated : SplitBehavior::Contiguous});
    } else if (type == "Punctuation") {
        split({.pattern = std::string(punctuation),
            .behavior = step.has("behavior") ? behaviorOf(step) : SplitBehavior::Isolated});
    } else if (type == "Whitespace") {
        split({.pattern = std::string(wordsAndSymbols), .behavior = SplitBehavior::Removed, .invert = true});
    } else if (type == "WhitespaceSplit") {
        split({.pattern = R"(\s)", .behavior = SplitBehavior::Removed});
    } else if (type == "BertPreTokenizer") {
        split({.pattern = R"(\s)", .behavior = SplitBehavior::Removed});
        split({.pattern = std::string(punctuation)});
    } else if (type == "Metaspace") {
        const std::string mark = step.string("replacement");
        if (mark.empty() || mark.size() != characterLength(mark) || mark == " ")
            step.fail("replacement: is no single character other than a space");
        result.steps.push_back(std::make_unique<MetaspaceStep>(mark, prependOf(step), step.boolean("split", true)));
    } else if (type == "ByteLevel") {
        result.isByteLevel = true;
        if (step.boolean("add_prefix_space", true))
            result.steps.push_back(std::make_unique<PrefixSpaceStep>());
        if (step.boolean("use_regex", true))
            split({.pattern = std::string(gpt2Pattern)});
    } else {
        step.fail(fmt::format("the pre-tokenizer {} is not known (known: BertPreTokenizer, ByteLevel, Digits, "
                              "Metaspace, Punctuation, Sequence, Split, Whitespace, WhitespaceSplit)",
            inQuotes(type)));
    }
}

} // namespace

PreTokenizerSteps readPreTokenizers(const JsonNode& root)
{
    PreTokenizerSteps result;
    if (root.has("pre_tokenizer"))
        for (const JsonNode& step : root.member("pre_tokenizer", json::value_t::object).components("pretokenizers"))
            readStep(step, result);
    return result;
}

} // namespace kvloupe
