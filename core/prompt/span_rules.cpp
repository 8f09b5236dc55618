// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/prompt/span_rules.h"

#include "core/error.h"
#include "core/prompt/pattern.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <map>
#include <optional>
#include <string>

namespace kvloupe {

namespace {

bool isBlank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f' || c == '\v';
}
bool isDigit(char c)
{
    return c >= '0' && c <= '9';
}
bool isLetter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || static_cast<unsigned char>(c) >= 0x80;
}

/// A half-open range of bytes.
struct Bytes {
    std::size_t begin = 0;
    std::size_t end = 0;

    bool empty() const { return begin >= end; }
};

Bytes trimmed(std::string_view text, Bytes range)
{
    while (!range.empty() && isBlank(text[range.begin]))
        ++range.begin;
    while (!range.empty() && isBlank(text[range.end - 1]))
        --range.end;
    return range;
}

/// The label that begins a line, "Question" of "Question 12: ...": up to 40 bytes of letters, digits, blanks and a few
/// marks before a colon, beginning with a letter. Numbers are left out, so that numbered labels are the same label.
std::string labelOf(std::string_view line)
{
    constexpr std::size_t longest = 40;
    constexpr std::string_view marks = " _-'()#.&/";
    std::size_t begin = 0;
    while (
        begin < line.size() && (line[begin] == ' ' || line[begin] == '\t' || line[begin] == '#' || line[begin] == '*'))
        ++begin;
    std::string label;
    for (std::size_t i = begin; i < std::min(line.size(), begin + longest); ++i) {
        const char c = line[i];
        if (c == ':') {
            while (!label.empty() && (marks.find(label.back()) != std::string_view::npos))
                label.pop_back();
            return label;
        }
        if (i == begin && !isLetter(c))
            return {};
        if (!isLetter(c) && !isDigit(c) && marks.find(c) == std::string_view::npos)
            return {};
        if (!isDigit(c))
            label += c;
    }
    return {};
}

struct Line {
    Bytes bytes; ///< without the line break
    std::string label; ///< empty if it begins with none
    bool blank = false;
    bool afterBlank = false; ///< first line of the text, or the one before is blank
};

std::vector<Line> linesOf(std::string_view text)
{
    std::vector<Line> lines;
    bool afterBlank = true;
    for (std::size_t begin = 0; begin < text.size();) {
        const std::size_t end = std::min(text.find('\n', begin), text.size());
        Line line;
        line.bytes = {begin, end};
        line.blank = trimmed(text, line.bytes).empty();
        line.afterBlank = afterBlank;
        if (!line.blank)
            line.label = labelOf(text.substr(begin, end - begin));
        afterBlank = line.blank;
        lines.push_back(std::move(line));
        begin = end + 1;
    }
    return lines;
}

/// The label that begins the examples: the first that begins two blocks or more. A label whose last block comes before
/// another repeated label's first belongs to the instruction.
std::string blockLabel(const std::vector<Line>& lines)
{
    struct Use {
        std::string label;
        std::size_t first;
        std::size_t last;
        int count;
    };
    std::vector<Use> uses; // in order of the first block
    for (std::size_t i = 0; i < lines.size(); ++i) {
        if (!lines[i].afterBlank || lines[i].label.empty())
            continue;
        const auto use = std::ranges::find(uses, lines[i].label, &Use::label);
        if (use == uses.end())
            uses.push_back({lines[i].label, i, i, 1});
        else {
            use->last = i;
            ++use->count;
        }
    }
    std::erase_if(uses, [](const Use& use) { return use.count < 2; });
    for (const Use& use : uses)
        if (std::ranges::all_of(uses, [&](const Use& other) { return other.first <= use.last; }))
            return use.label;
    return {};
}

/// The label inside the blocks after which the answer comes: a usual name if there is one, else the last label that all
/// blocks but the last share. Empty if there is none.
std::string answerLabel(std::string_view text, const std::vector<Bytes>& blocks)
{
    constexpr std::array<std::string_view, 10> usual{
        "Answer", "A", "Output", "Response", "Solution", "Label", "Sentiment", "Target", "Summary", "Translation"};
    std::map<std::string, std::size_t> counts;
    std::vector<std::string> order;
    const std::size_t complete = std::max<std::size_t>(blocks.size() - 1, 1);
    for (std::size_t i = 0; i < complete; ++i) {
        const auto lines = linesOf(text.substr(blocks[i].begin, blocks[i].end - blocks[i].begin));
        std::vector<std::string> seen;
        for (std::size_t line = 1; line < lines.size(); ++line)
            if (!lines[line].label.empty() && std::ranges::find(seen, lines[line].label) == seen.end())
                seen.push_back(lines[line].label);
        for (const auto& label : seen)
            ++counts[label];
        if (i == 0)
            order = seen;
    }
    std::erase_if(order, [&](const std::string& label) { return counts[label] < complete; });
    for (const std::string_view name : usual)
        if (const auto found = std::ranges::find(order, name); found != order.end())
            return *found;
    return order.empty() ? std::string() : order.back();
}

/// First byte of the line that begins with the answer's label, behind the first line of the block.
std::optional<std::size_t> answerBegin(std::string_view text, Bytes block, const std::string& label)
{
    if (label.empty())
        return std::nullopt;
    const auto lines = linesOf(text.substr(block.begin, block.end - block.begin));
    for (std::size_t i = 1; i < lines.size(); ++i)
        if (lines[i].label == label)
            return trimmed(text, {block.begin + lines[i].bytes.begin, block.end}).begin;
    return std::nullopt;
}

/// Whether an answer is still to come: its label is missing or nothing stands behind it.
bool isOpen(std::string_view text, Bytes block, const std::string& label)
{
    const auto answer = answerBegin(text, block, label);
    return !answer || trimmed(text, {text.find(':', *answer) + 1, block.end}).empty();
}

Span spanOf(Bytes range, SpanKind kind, int shot = -1)
{
    return {static_cast<std::int64_t>(range.begin), static_cast<std::int64_t>(range.end), kind, shot, {}};
}

/// Instruction, shots and question from trimmed blocks in order.
std::vector<Span> spansOfBlocks(std::string_view text, Bytes instruction, const std::vector<Bytes>& blocks)
{
    std::vector<Span> spans;
    if (!instruction.empty())
        spans.push_back(spanOf(instruction, SpanKind::Instruction));
    const std::string answer = answerLabel(text, blocks);
    for (std::size_t i = 0; i < blocks.size(); ++i) {
        const Bytes block = blocks[i];
        if (i + 1 == blocks.size() && isOpen(text, block, answer)) {
            spans.push_back(spanOf(block, SpanKind::Question));
            continue;
        }
        const int shot = static_cast<int>(i);
        spans.push_back(spanOf(block, SpanKind::Shot, shot));
        const auto begin = answerBegin(text, block, answer);
        if (!begin)
            continue;
        spans.push_back(spanOf(trimmed(text, {block.begin, *begin}), SpanKind::ShotQuestion, shot));
        spans.push_back(spanOf({*begin, block.end}, SpanKind::ShotAnswer, shot));
    }
    return spans;
}

} // namespace

std::vector<Span> detectShots(std::string_view text)
{
    const std::vector<Line> lines = linesOf(text);
    const std::string label = blockLabel(lines);
    if (label.empty())
        return {};
    std::vector<std::size_t> begins;
    for (const Line& line : lines)
        if (line.afterBlank && line.label == label)
            begins.push_back(line.bytes.begin);
    std::vector<Bytes> blocks;
    for (std::size_t i = 0; i < begins.size(); ++i)
        blocks.push_back(trimmed(text, {begins[i], i + 1 < begins.size() ? begins[i + 1] : text.size()}));
    return spansOfBlocks(text, trimmed(text, {0, begins.front()}), blocks);
}

std::vector<Span> splitShots(std::string_view text, std::string_view separatorPattern)
{
    std::vector<Bytes> blocks;
    std::size_t begin = 0;
    const auto addBlock = [&](std::size_t end) {
        if (const Bytes block = trimmed(text, {begin, end}); !block.empty())
            blocks.push_back(block);
    };
    for (const auto& [matchBegin, matchEnd] : Pattern(separatorPattern).matches(text)) {
        addBlock(matchBegin);
        begin = matchEnd;
    }
    addBlock(text.size());
    if (blocks.size() < 2)
        return {};

    // The first block may hold an instruction: what comes before the line that begins as the second block does.
    Bytes instruction;
    const auto labelIn = [&](Bytes block) { return linesOf(text.substr(block.begin, block.end - block.begin)); };
    const std::string label = labelIn(blocks[1]).front().label;
    for (const Line& line : labelIn(blocks[0])) {
        if (label.empty() || line.label != label)
            continue;
        instruction = trimmed(text, {blocks[0].begin, blocks[0].begin + line.bytes.begin});
        blocks[0].begin = trimmed(text, {blocks[0].begin + line.bytes.begin, blocks[0].end}).begin;
        break;
    }
    return spansOfBlocks(text, instruction, blocks);
}

std::vector<Span> spansOverTokens(
    std::span<const Span> byteSpans, std::span<const std::array<std::int64_t, 2>> offsets, std::string_view text)
{
    // First byte of each token that is not white space: it decides for tokens that straddle two spans.
    std::vector<std::int64_t> anchors;
    anchors.reserve(offsets.size());
    const auto size = static_cast<std::int64_t>(text.size());
    for (const auto& [begin, end] : offsets) {
        std::int64_t anchor = begin;
        while (anchor >= 0 && anchor < std::min(end, size) && isBlank(text[static_cast<std::size_t>(anchor)]))
            ++anchor;
        anchors.push_back(anchor < end ? anchor : begin);
    }
    const auto contains = [](const Span& span, std::int64_t byte) { return span.begin <= byte && byte < span.end; };

    std::vector<Span> result;
    for (const Span& span : byteSpans) {
        const auto belongs = [&](std::size_t token) {
            const auto [begin, end] = offsets[token];
            if (begin >= span.end || end <= span.begin || begin >= end)
                return false;
            return contains(span, anchors[token]) || std::ranges::none_of(byteSpans, [&](const Span& other) {
                const bool encloses = other.begin <= span.begin && other.end >= span.end;
                return !encloses && contains(other, anchors[token]);
            });
        };
        Span overTokens = span;
        overTokens.begin = -1;
        for (std::size_t token = 0; token < offsets.size(); ++token) {
            if (!belongs(token))
                continue;
            if (overTokens.begin < 0)
                overTokens.begin = static_cast<std::int64_t>(token);
            overTokens.end = static_cast<std::int64_t>(token) + 1;
        }
        if (overTokens.begin >= 0)
            result.push_back(std::move(overTokens));
    }
    return result;
}

} // namespace kvloupe
