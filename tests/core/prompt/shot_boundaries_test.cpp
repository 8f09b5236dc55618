// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/prompt/shot_boundaries.h"

#include "core/error.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace kvloupe {
namespace {

/// "shot 1-6 #0; shot_question 1-3 #0; question 12-20"
std::string text(const std::vector<Span>& spans)
{
    std::string result;
    for (const Span& span : spans)
        result += fmt::format("{}{} {}-{}{}", result.empty() ? "" : "; ", spanKindName(span.kind), span.begin, span.end,
            span.shot < 0 ? "" : fmt::format(" #{}", span.shot));
    return result;
}

const std::vector<Span> recorded{{0, 1, SpanKind::Instruction, -1, {}}, {1, 6, SpanKind::Shot, 0, {}},
    {1, 3, SpanKind::ShotQuestion, 0, {}}, {3, 6, SpanKind::ShotAnswer, 0, {}}, {6, 12, SpanKind::Shot, 1, {}},
    {6, 9, SpanKind::ShotQuestion, 1, {}}, {9, 12, SpanKind::ShotAnswer, 1, {}}, {12, 20, SpanKind::Question, -1, {}}};

TEST(ShotBoundaries, TheSameShotsGiveTheSameSpans)
{
    EXPECT_EQ(text(withShots(recorded, std::vector<TokenRange>{{1, 6}, {6, 12}}, 20)),
        "instruction 0-1; shot 1-6 #0; shot_question 1-3 #0; shot_answer 3-6 #0; shot 6-12 #1; shot_question 6-9 #1; "
        "shot_answer 9-12 #1; question 12-20");
}

TEST(ShotBoundaries, PartsBelongToTheShotThatHoldsThem)
{
    EXPECT_EQ(text(withShots(recorded, std::vector<TokenRange>{{1, 12}}, 20)),
        "instruction 0-1; shot 1-12 #0; shot_question 1-3 #0; shot_answer 3-6 #0; shot_question 6-9 #0; shot_answer "
        "9-12 #0; question 12-20")
        << "two shots become one";
    EXPECT_EQ(text(withShots(recorded, std::vector<TokenRange>{{1, 5}, {5, 12}}, 20)),
        "instruction 0-1; shot 1-5 #0; shot_question 1-3 #0; shot 5-12 #1; shot_question 6-9 #1; shot_answer 9-12 #1; "
        "question 12-20")
        << "the answer that was cut is no part any more";
}

TEST(ShotBoundaries, WithoutShotsOnlyTheRestStays)
{
    EXPECT_EQ(text(withShots(recorded, {}, 20)), "instruction 0-1; question 12-20");
}

TEST(ShotBoundaries, RefusesWhatIsNoListOfExamples)
{
    const auto problem = [](std::vector<TokenRange> shots) -> std::string {
        try {
            checkShots(shots, 20);
        } catch (const Error& error) {
            return error.what();
        }
        return "none";
    };
    EXPECT_EQ(problem({{0, 5}, {5, 20}}), "none");
    EXPECT_EQ(problem({}), "none");
    EXPECT_EQ(problem({{0, 5}, {4, 8}}), "shot 2: found tokens 4 to 8, expected a range within [5, 20)");
    EXPECT_EQ(problem({{3, 3}}), "shot 1: found tokens 3 to 3, expected a range within [0, 20)");
    EXPECT_EQ(problem({{7, 3}}), "shot 1: found tokens 7 to 3, expected a range within [0, 20)");
    EXPECT_EQ(problem({{-1, 3}}), "shot 1: found tokens -1 to 3, expected a range within [0, 20)");
    EXPECT_EQ(problem({{3, 21}}), "shot 1: found tokens 3 to 21, expected a range within [0, 20)");
}

} // namespace
} // namespace kvloupe
