// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/replay/missed_attention.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kvloupe {
namespace {

using testing::ElementsAre;
using testing::FloatNear;
using testing::Pointwise;

/// A prompt of three tokens and three generated ones.
class ThreeRows final : public DecodeRowSource {
public:
    int queryHeads() const override { return 1; }
    std::span<const float> row(int /*head*/, std::int64_t step) override
    {
        return m_rows[static_cast<std::size_t>(step)];
    }

private:
    std::vector<std::vector<float>> m_rows{
        {0.1F, 0.2F, 0.3F, 0.4F}, {0.3F, 0.1F, 0.1F, 0.2F, 0.3F}, {0.3F, 0.05F, 0.25F, 0.1F, 0.1F, 0.2F}};
};

HeadTimeline sixTokens(std::vector<std::int32_t> evictedAt)
{
    HeadTimeline timeline;
    timeline.evictedAt = std::move(evictedAt);
    return timeline;
}

TEST(MissedAttention, FindsTheQueryThatWantedADeadTokenMost)
{
    ThreeRows rows;
    // Token 0 is cut with the prompt, token 2 after the first generated token, token 3 after the last.
    const MissedAttention missed = missedAttention(sixTokens({0, -1, 1, 3, -1, -1}), 3, 3, 0, rows);
    EXPECT_THAT(missed.wantedAt, ElementsAre(2, 0, 3, 0, 0, 0)) << "the first of two equal wishes; none after the end";
    EXPECT_THAT(
        missed.wantedMass, Pointwise(FloatNear(1e-6F), std::vector<float>{0.3F, 0.0F, 0.25F, 0.0F, 0.0F, 0.0F}));
    EXPECT_THAT(missed.lostMass, Pointwise(FloatNear(1e-6F), std::vector<float>{0.1F, 0.4F, 0.55F}));
}

TEST(MissedAttention, NothingIsMissedWhenNothingDies)
{
    ThreeRows rows;
    const MissedAttention missed = missedAttention(sixTokens(std::vector<std::int32_t>(6, -1)), 3, 3, 0, rows);
    EXPECT_THAT(missed.wantedAt, ElementsAre(0, 0, 0, 0, 0, 0));
    EXPECT_THAT(missed.lostMass, ElementsAre(0.0F, 0.0F, 0.0F));
}

TEST(MissedAttention, WhatIsHiddenIsMissedToo)
{
    ThreeRows rows;
    HeadTimeline timeline = sixTokens({-1, -1, 0, -1, -1, -1});
    timeline.visible = {{{1, 2}, {3, 4}}, {{0, 5}}, {{4, 6}}};
    const MissedAttention missed = missedAttention(timeline, 3, 3, 0, rows);
    EXPECT_THAT(missed.lostMass, Pointwise(FloatNear(1e-6F), std::vector<float>{0.4F, 0.1F, 0.7F}))
        << "token 2 is gone, the rest lies between the visible ranges";
    EXPECT_EQ(missed.wantedAt[0], 0) << "hidden tokens are not dead";
}

} // namespace
} // namespace kvloupe
