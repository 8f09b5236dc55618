// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/prompt/prompt_layout.h"

#include "core/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace kvloupe {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(SpanKind, HasOneNameInBothDirections)
{
    for (int value = 0; value < spanKindCount; ++value) {
        const auto kind = static_cast<SpanKind>(value);
        EXPECT_EQ(spanKindFromName(spanKindName(kind)), kind) << value;
    }
    EXPECT_EQ(spanKindName(SpanKind::ShotQuestion), "shot_question");
    EXPECT_EQ(static_cast<int>(SpanKind::Generated), 13) << "values are stored in recordings";
    EXPECT_EQ(spanKindFromName("Shot"), std::nullopt);
    EXPECT_EQ(spanKindFromName(""), std::nullopt);
    EXPECT_EQ(spanKindName(static_cast<SpanKind>(99)), "unknown");
}

TEST(PromptLayout, MakesOneRangeOfAllSpansThatCarryANumber)
{
    const PromptLayout layout(20, 25,
        {{0, 1, SpanKind::Bos, -1, {}}, {6, 9, SpanKind::ShotQuestion, 1, {}}, {1, 3, SpanKind::ShotQuestion, 0, {}},
            {9, 12, SpanKind::ShotAnswer, 1, {}}, {4, 6, SpanKind::ShotAnswer, 0, {}},
            {12, 20, SpanKind::Question, -1, {}}, {20, 25, SpanKind::Generated, -1, {}}});
    EXPECT_THAT(layout.shots(), ElementsAre(TokenRange{1, 6}, TokenRange{6, 12}));
    EXPECT_EQ(layout.lastShotEnd(), 12);
    EXPECT_EQ(layout.promptTokens(), 20);
    EXPECT_EQ(layout.totalTokens(), 25);
}

TEST(PromptLayout, HasNoShotsWithoutNumbers)
{
    const PromptLayout layout(5);
    EXPECT_THAT(layout.shots(), IsEmpty());
    EXPECT_EQ(layout.lastShotEnd(), 0);
}

TEST(PromptLayout, OrdersShotsByNumberWhateverTheGaps)
{
    const PromptLayout layout(10, 10, {{5, 6, SpanKind::Shot, 40, {}}, {8, 9, SpanKind::Shot, 3, {}}});
    EXPECT_THAT(layout.shots(), ElementsAre(TokenRange{8, 9}, TokenRange{5, 6}));
    EXPECT_EQ(layout.lastShotEnd(), 9);
}

TEST(PromptLayout, RefusesSpansOutsideTheTokens)
{
    constexpr std::int64_t huge = std::numeric_limits<std::int64_t>::max();
    for (const Span& span : {Span{3, 2, SpanKind::Shot, 0, {}}, Span{-1, 2, SpanKind::Shot, 0, {}},
             Span{0, 11, SpanKind::Shot, 0, {}}, Span{huge, huge, SpanKind::Shot, 0, {}}}) {
        try {
            const PromptLayout layout(10, 10, {span});
            ADD_FAILURE() << span.begin << " " << span.end;
        } catch (const Error& error) {
            EXPECT_THAT(error.what(), HasSubstr("span shot is ["));
        }
    }
    EXPECT_THROW(PromptLayout(11, 10, {}), Error);
    EXPECT_THROW(PromptLayout(-1, 10, {}), Error);
    EXPECT_NO_THROW(PromptLayout(10, 10, {{10, 10, SpanKind::Question, -1, {}}}));
}

} // namespace
} // namespace kvloupe
