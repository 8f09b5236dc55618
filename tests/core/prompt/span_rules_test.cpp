// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/prompt/span_rules.h"

#include "core/error.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace kvloupe {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

/// Spans as readable lines: kind, number of the shot, text.
std::vector<std::string> shown(const std::vector<Span>& spans, const std::string& text)
{
    std::vector<std::string> lines;
    for (const Span& span : spans)
        lines.push_back(
            fmt::format("{}{}: {}", spanKindName(span.kind), span.shot < 0 ? "" : fmt::format(" {}", span.shot),
                text.substr(static_cast<std::size_t>(span.begin), static_cast<std::size_t>(span.end - span.begin))));
    return lines;
}

std::vector<std::string> detected(const std::string& text)
{
    return shown(detectShots(text), text);
}

/// The few-shot prompt of tests/data/smollm2_reference.h5.
const std::string fewShotPrompt = "Question: A shop sells 7 pens a day. How many pens does it sell in 6 days?\n"
                                  "Answer: 7 * 6 = 42. The answer is 42.\n\n"
                                  "Question: Mia had 15 apples and gave 4 to Tom. How many are left?\n"
                                  "Answer: 15 - 4 = 11. The answer is 11.\n\n"
                                  "Question: A train runs 60 km in one hour. How far in 3 hours?\n"
                                  "Answer:";

TEST(DetectShots, FindsQuestionsAndAnswersOfAFewShotPrompt)
{
    EXPECT_THAT(detected(fewShotPrompt),
        ElementsAre(
            "shot 0: Question: A shop sells 7 pens a day. How many pens does it sell in 6 days?\nAnswer: 7 * 6 = 42. "
            "The answer is 42.",
            "shot_question 0: Question: A shop sells 7 pens a day. How many pens does it sell in 6 days?",
            "shot_answer 0: Answer: 7 * 6 = 42. The answer is 42.",
            "shot 1: Question: Mia had 15 apples and gave 4 to Tom. How many are left?\nAnswer: 15 - 4 = 11. The "
            "answer is "
            "11.",
            "shot_question 1: Question: Mia had 15 apples and gave 4 to Tom. How many are left?",
            "shot_answer 1: Answer: 15 - 4 = 11. The answer is 11.",
            "question: Question: A train runs 60 km in one hour. How far in 3 hours?\nAnswer:"));
}

TEST(DetectShots, FindsNothingWhereNoLabelRepeats)
{
    EXPECT_THAT(detected(""), IsEmpty());
    EXPECT_THAT(detected("\n \n"), IsEmpty());
    EXPECT_THAT(detected("The capital of France is"), IsEmpty());
    EXPECT_THAT(detected("Question: only one\nAnswer:"), IsEmpty());
    EXPECT_THAT(detected("Question: a\nAnswer: b\nQuestion: c\nAnswer: d"), IsEmpty()) << "no blank lines";
    EXPECT_THAT(detected("Once upon a time.\n\nOnce upon a time."), IsEmpty());
}

TEST(DetectShots, MakesOneShotOfTwoBlocks)
{
    EXPECT_THAT(detected("Q: a\nA: b\n\nQ: c\nA:"),
        ElementsAre("shot 0: Q: a\nA: b", "shot_question 0: Q: a", "shot_answer 0: A: b", "question: Q: c\nA:"));
}

TEST(DetectShots, CallsTextBeforeTheFirstBlockTheInstruction)
{
    EXPECT_THAT(detected("Translate.\nBe brief.\n\nInput: chat\nOutput: cat\n\nInput: chien\nOutput:\n"),
        ElementsAre("instruction: Translate.\nBe brief.", "shot 0: Input: chat\nOutput: cat",
            "shot_question 0: Input: chat", "shot_answer 0: Output: cat", "question: Input: chien\nOutput:"));
}

TEST(DetectShots, TakesTheLastBlockForAShotWhenItIsAnswered)
{
    EXPECT_THAT(detected("Q: a\nA: b\n\nQ: c\nA: d\n\n"),
        ElementsAre("shot 0: Q: a\nA: b", "shot_question 0: Q: a", "shot_answer 0: A: b", "shot 1: Q: c\nA: d",
            "shot_question 1: Q: c", "shot_answer 1: A: d"));
}

TEST(DetectShots, ReadsWindowsLineEndsAndBlankLinesWithBlanks)
{
    EXPECT_THAT(detected("Q: a\r\nA: b\r\n\r\nQ: c\r\nA:"),
        ElementsAre("shot 0: Q: a\r\nA: b", "shot_question 0: Q: a", "shot_answer 0: A: b", "question: Q: c\r\nA:"));
    EXPECT_THAT(detected("Q: a\nA: b\n \t\n\n\nQ: c\nA:\n\n  \n"),
        ElementsAre("shot 0: Q: a\nA: b", "shot_question 0: Q: a", "shot_answer 0: A: b", "question: Q: c\nA:"));
}

TEST(DetectShots, KeepsParagraphsWithoutTheLabelInTheirBlock)
{
    EXPECT_THAT(
        detected("Question: a\n\nmore of it\nAnswer: first\n\nsecond: part\n\nthird part\n\nQuestion: c\nAnswer:"),
        ElementsAre("shot 0: Question: a\n\nmore of it\nAnswer: first\n\nsecond: part\n\nthird part",
            "shot_question 0: Question: a\n\nmore of it", "shot_answer 0: Answer: first\n\nsecond: part\n\nthird part",
            "question: Question: c\nAnswer:"));
}

TEST(DetectShots, IgnoresTheLabelInsideALineOrWithoutABlankLine)
{
    EXPECT_THAT(
        detected("Question: is 'Question: x' a label?\nQuestion: no\nAnswer: it is not\n\nQuestion: c\nAnswer:"),
        ElementsAre("shot 0: Question: is 'Question: x' a label?\nQuestion: no\nAnswer: it is not",
            "shot_question 0: Question: is 'Question: x' a label?\nQuestion: no", "shot_answer 0: Answer: it is not",
            "question: Question: c\nAnswer:"));
}

TEST(DetectShots, FollowsTheOuterLabelWhenAnswersHoldRepeatedLabelsOfTheirOwn)
{
    EXPECT_THAT(
        detected("Question: a\nAnswer: see\n\nStep 1: add\n\nStep 2: done\n\nStep 3: check\n\nQuestion: c\nAnswer:"),
        ElementsAre(StartsWith("shot 0: Question: a"), "shot_question 0: Question: a",
            "shot_answer 0: Answer: see\n\nStep 1: add\n\nStep 2: done\n\nStep 3: check",
            "question: Question: c\nAnswer:"));
}

TEST(DetectShots, LeavesRepeatedLabelsOfTheInstructionToTheInstruction)
{
    EXPECT_THAT(detected("Note: one\n\nNote: two\n\nQ: a\nA: b\n\nQ: c\nA:"),
        ElementsAre("instruction: Note: one\n\nNote: two", "shot 0: Q: a\nA: b", "shot_question 0: Q: a",
            "shot_answer 0: A: b", "question: Q: c\nA:"));
}

TEST(DetectShots, CountsNumberedLabelsAsOne)
{
    EXPECT_THAT(detected("Example 1: x\nLabel: yes\n\nExample 2: y\nLabel:"),
        ElementsAre("shot 0: Example 1: x\nLabel: yes", "shot_question 0: Example 1: x", "shot_answer 0: Label: yes",
            "question: Example 2: y\nLabel:"));
}

TEST(DetectShots, SplitsAnswersInParagraphsOfTheirOwn)
{
    EXPECT_THAT(detected("Question: a\n\nAnswer: b\n\nQuestion: c\n\nAnswer:"),
        ElementsAre("shot 0: Question: a\n\nAnswer: b", "shot_question 0: Question: a", "shot_answer 0: Answer: b",
            "question: Question: c\n\nAnswer:"));
}

TEST(DetectShots, PrefersAUsualNameForTheAnswerToTheLastLabel)
{
    EXPECT_THAT(detected("Review: good\nSentiment: positive\nReason: praise\n\nReview: bad\nSentiment:"),
        ElementsAre(StartsWith("shot 0"), "shot_question 0: Review: good",
            "shot_answer 0: Sentiment: positive\nReason: praise", "question: Review: bad\nSentiment:"));
}

TEST(DetectShots, LeavesShotsWholeWhenNoAnswerHasALabel)
{
    EXPECT_THAT(detected("Input: 1 => one\n\nInput: 2 => two\n\nInput: 3 =>"),
        ElementsAre("shot 0: Input: 1 => one", "shot 1: Input: 2 => two", "question: Input: 3 =>"));
}

std::vector<std::string> split(const std::string& text, const std::string& pattern)
{
    return shown(splitShots(text, pattern), text);
}

TEST(SplitShots, CutsAtAGivenSeparator)
{
    EXPECT_THAT(split("Do it.\nQ: a\nA: b\n###\nQ: c\nA: d\n### \nQ: e\nA:", "^###.*$"),
        ElementsAre("instruction: Do it.", "shot 0: Q: a\nA: b", "shot_question 0: Q: a", "shot_answer 0: A: b",
            "shot 1: Q: c\nA: d", "shot_question 1: Q: c", "shot_answer 1: A: d", "question: Q: e\nA:"));
    EXPECT_THAT(split("one|two|three", R"(\|)"), ElementsAre("shot 0: one", "shot 1: two", "question: three"));
    EXPECT_THAT(split("|one||two|", R"(\|)"), ElementsAre("shot 0: one", "question: two")) << "empty blocks are none";
    EXPECT_THAT(split("one two", R"(\|)"), IsEmpty());
    EXPECT_THAT(split("größer→kleiner→", "→"), ElementsAre("shot 0: größer", "question: kleiner"));
    EXPECT_THAT(split("one two", "x*"), IsEmpty()) << "empty matches separate nothing";
}

std::string splitError(const std::string& text, const std::string& pattern)
{
    try {
        splitShots(text, pattern);
    } catch (const Error& error) {
        return error.what();
    }
    return "accepted";
}

TEST(SplitShots, NamesAPatternThatDoesNotCompileOrNeverEnds)
{
    EXPECT_THAT(splitError("text", "(open"), HasSubstr("pattern '(open'"));
    EXPECT_THAT(splitError("text", "[z-a]"), HasSubstr("pattern '[z-a]'"));
    EXPECT_THAT(splitError(std::string(60, 'a') + "!", "(a+)+(a+)+$"), HasSubstr("limit"));
    EXPECT_THAT(splitError("bad \xff text", "x"), HasSubstr("UTF-8"));
    EXPECT_THAT(splitError("abc", R"((?=ab\K))"), testing::AnyOf(HasSubstr("pattern"), HasSubstr("accepted")));
}

using Offsets = std::vector<std::array<std::int64_t, 2>>;

/// Offsets of tokens written with bars between them.
Offsets tokensOf(const std::vector<std::string>& pieces)
{
    Offsets offsets;
    std::int64_t begin = 0;
    for (const auto& piece : pieces) {
        offsets.push_back({begin, begin + static_cast<std::int64_t>(piece.size())});
        begin = offsets.back()[1];
    }
    return offsets;
}

Span bytes(std::int64_t begin, std::int64_t end, SpanKind kind, int shot = -1)
{
    return {begin, end, kind, shot, {}};
}

TEST(SpansOverTokens, GivesATokenToTheSpanThatHoldsItsFirstVisibleByte)
{
    //                       0..1  2    3..6      7..8
    const std::string text = "ab\ncd ef";
    const Offsets offsets = tokensOf({"ab\n", "cd", " ef"});
    const std::vector<Span> spans{
        bytes(0, 2, SpanKind::Shot, 0), bytes(3, 5, SpanKind::Shot, 1), bytes(6, 8, SpanKind::Question)};
    EXPECT_THAT(spansOverTokens(spans, offsets, text),
        ElementsAre(bytes(0, 1, SpanKind::Shot, 0), bytes(1, 2, SpanKind::Shot, 1), bytes(2, 3, SpanKind::Question)));
}

TEST(SpansOverTokens, SplitsATokenThatStraddlesTwoNeighboursOnce)
{
    const std::string text = "ab.\n\ncd";
    const Offsets offsets = tokensOf({"ab", ".\n\nc", "d"});
    const std::vector<Span> spans{
        bytes(0, 7, SpanKind::Context), bytes(0, 3, SpanKind::Shot, 0), bytes(5, 7, SpanKind::Question)};
    EXPECT_THAT(spansOverTokens(spans, offsets, text),
        ElementsAre(bytes(0, 3, SpanKind::Context), bytes(0, 2, SpanKind::Shot, 0), bytes(2, 3, SpanKind::Question)));
}

TEST(SpansOverTokens, GivesANestedSpanTheTokensItOverlaps)
{
    const std::string text = "hay the needle hay";
    const Offsets offsets = tokensOf({"hay th", "e needle", " hay"});
    const std::vector<Span> spans{bytes(0, 18, SpanKind::Context), bytes(4, 14, SpanKind::Needle)};
    EXPECT_THAT(spansOverTokens(spans, offsets, text),
        ElementsAre(bytes(0, 3, SpanKind::Context), bytes(0, 2, SpanKind::Needle)));
}

TEST(SpansOverTokens, DropsSpansWithoutATokenAndBridgesTokensWithoutBytes)
{
    const Offsets offsets{{0, 0}, {0, 1}, {1, 1}, {1, 2}};
    EXPECT_THAT(spansOverTokens(std::vector<Span>{bytes(0, 2, SpanKind::Shot, 0)}, offsets, "ab"),
        ElementsAre(bytes(1, 4, SpanKind::Shot, 0)));
    EXPECT_THAT(spansOverTokens(std::vector<Span>{bytes(5, 9, SpanKind::Shot, 0)}, offsets, "ab"), IsEmpty());
    EXPECT_THAT(spansOverTokens(std::vector<Span>{bytes(1, 1, SpanKind::Shot, 0)}, offsets, "ab"), IsEmpty());
    EXPECT_THAT(spansOverTokens({}, offsets, "ab"), IsEmpty());
}

TEST(SpansOverTokens, KeepsPiecesOfOneCharacterTogether)
{
    const std::string text = "→x"; // the arrow has three bytes, one token each
    const Offsets offsets{{0, 3}, {0, 3}, {0, 3}, {3, 4}};
    const std::vector<Span> spans{bytes(0, 3, SpanKind::Shot, 0), bytes(3, 4, SpanKind::Question)};
    EXPECT_THAT(spansOverTokens(spans, offsets, text),
        ElementsAre(bytes(0, 3, SpanKind::Shot, 0), bytes(3, 4, SpanKind::Question)));
}

TEST(SpansOverTokens, CoversAFewShotPromptWithoutSharedTokens)
{
    // Tokens of four bytes cut through every label; each still belongs to one part at most.
    std::vector<std::string> pieces;
    for (std::size_t i = 0; i < fewShotPrompt.size(); i += 4)
        pieces.push_back(fewShotPrompt.substr(i, 4));
    const auto spans = spansOverTokens(detectShots(fewShotPrompt), tokensOf(pieces), fewShotPrompt);
    std::vector<int> owners(pieces.size(), 0);
    for (const Span& span : spans)
        if (span.kind != SpanKind::Shot)
            for (std::int64_t token = span.begin; token < span.end; ++token)
                ++owners[static_cast<std::size_t>(token)];
    EXPECT_THAT(owners, testing::Each(testing::Le(1)));
    EXPECT_EQ(spans.size(), 7U);
}

} // namespace
} // namespace kvloupe
