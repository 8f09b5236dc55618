// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tokenizer/pre_tokenizers/split_step.h"

#include <algorithm>

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
    for (auto at = parts.rbegin(); at != parts.rend(); ++at) {
        const Part& part = *at;
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

SplitStep::SplitStep(const Definition& definition, std::string where)
    : m_pattern(definition.pattern, definition.syntax, std::move(where))
    , m_behavior(definition.behavior)
    , m_invert(definition.invert)
{
}

void SplitStep::apply(Pieces& pieces) const
{
    const std::string_view text = pieces.text.text();
    SplitPattern::Matcher matcher(m_pattern);
    std::vector<ByteRange> finer;
    finer.reserve(pieces.ranges.size());
    for (const ByteRange& piece : pieces.ranges) {
        const std::string_view part = text.substr(piece.begin, piece.end - piece.begin);
        for (const ByteRange& range : arrange(partition(part, matcher.matches(part), m_invert), m_behavior))
            finer.push_back({piece.begin + range.begin, piece.begin + range.end});
    }
    pieces.ranges = std::move(finer);
}

} // namespace kvloupe
