// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tokenizer/pre_tokenizer.h"

#include "capture/checkpoint/checkpoint_error.h"
#include "capture/tokenizer/tokenizer_error.h"

#include <fmt/format.h>

#include <algorithm>
#include <ranges>

namespace kvloupe {

namespace {

struct Part {
    ByteRange range;
    bool isMatch;
};

/// Matches and what lies between them, in order.
std::vector<Part> partition(std::string_view text, const std::vector<ByteRange>& matches, bool invert)
{
    std::vector<Part> parts;
    std::size_t at = 0;
    for (const ByteRange& match : matches) {
        if (match.begin > at)
            parts.push_back({{at, match.begin}, invert});
        parts.push_back({match, !invert});
        at = match.end;
    }
    if (at < text.size())
        parts.push_back({{at, text.size()}, invert});
    return parts;
}

std::vector<ByteRange> mergeIntoPrevious(const std::vector<Part>& parts)
{
    std::vector<ByteRange> pieces;
    bool afterMatch = false;
    for (const Part& part : parts) {
        if (part.isMatch && !afterMatch && !pieces.empty())
            pieces.back().end = part.range.end;
        else
            pieces.push_back(part.range);
        afterMatch = part.isMatch;
    }
    return pieces;
}

std::vector<ByteRange> mergeIntoNext(const std::vector<Part>& parts)
{
    std::vector<ByteRange> pieces;
    bool beforeMatch = false;
    for (const Part& part : parts | std::views::reverse) {
        if (part.isMatch && !beforeMatch && !pieces.empty())
            pieces.back().begin = part.range.begin;
        else
            pieces.push_back(part.range);
        beforeMatch = part.isMatch;
    }
    std::ranges::reverse(pieces);
    return pieces;
}

std::vector<ByteRange> mergeRuns(const std::vector<Part>& parts)
{
    std::vector<ByteRange> pieces;
    bool before = false;
    for (const Part& part : parts) {
        if (!pieces.empty() && part.isMatch == before)
            pieces.back().end = part.range.end;
        else
            pieces.push_back(part.range);
        before = part.isMatch;
    }
    return pieces;
}

std::vector<ByteRange> arrange(const std::vector<Part>& parts, SplitBehavior behavior)
{
    switch (behavior) {
    case SplitBehavior::MergedWithPrevious:
        return mergeIntoPrevious(parts);
    case SplitBehavior::MergedWithNext:
        return mergeIntoNext(parts);
    case SplitBehavior::Contiguous:
        return mergeRuns(parts);
    case SplitBehavior::Isolated:
    case SplitBehavior::Removed:
        break;
    }
    std::vector<ByteRange> pieces;
    for (const Part& part : parts)
        if (behavior == SplitBehavior::Isolated || !part.isMatch)
            pieces.push_back(part.range);
    return pieces;
}

} // namespace

const std::string_view gpt2Pattern = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

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
    } else if (name == "llama-bpe") {
        result.steps = {{.pattern = fmt::format(modern, R"(\p{N}{1,3})")}};
        result.ignoresMerges = true;
        result.addsBos = true;
    } else if (name == "qwen2") {
        result.steps = {{.pattern = fmt::format(modern, R"(\p{N})")}};
        result.composes = true;
    } else {
        throw TokenizerError(fmt::format(
            "{}: the pre-tokenizer {} is not known (known: gpt-2, llama-bpe, qwen2, smollm)", where, inQuotes(name)));
    }
    return result;
}

PreTokenizer::PreTokenizer(const std::vector<SplitStep>& steps, const std::string& where)
{
    for (const SplitStep& step : steps)
        m_steps.push_back({SplitPattern(step.pattern, step.syntax, where), step.behavior, step.invert});
}

std::vector<ByteRange> PreTokenizer::split(std::string_view text) const
{
    std::vector<ByteRange> pieces;
    if (!text.empty())
        pieces.push_back({0, text.size()});
    for (const Step& step : m_steps) {
        SplitPattern::Matcher matcher(step.pattern);
        std::vector<ByteRange> finer;
        for (const ByteRange& piece : pieces) {
            // A step sees one piece at a time, so that a lookahead ends with the piece.
            const std::string_view part = text.substr(piece.begin, piece.end - piece.begin);
            for (const ByteRange& range : arrange(partition(part, matcher.matches(part), step.invert), step.behavior))
                finer.push_back({piece.begin + range.begin, piece.begin + range.end});
        }
        pieces = std::move(finer);
    }
    return pieces;
}

} // namespace kvloupe
