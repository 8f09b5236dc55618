// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/metrics/token_regions.h"

#include "core/metrics/region_mass.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

namespace kvloupe {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;
using testing::Pointwise;

/// BOS, instruction, two shots of question and answer, question; then thinking and answer.
PromptLayout fewShot()
{
    return {12, 16,
        {{0, 1, SpanKind::Bos, -1, ""}, {1, 3, SpanKind::Instruction, -1, ""}, {3, 5, SpanKind::ShotQuestion, 0, ""},
            {5, 6, SpanKind::ShotAnswer, 0, ""}, {3, 6, SpanKind::Shot, 0, ""}, {6, 9, SpanKind::Shot, 1, ""},
            {9, 11, SpanKind::Question, -1, ""}, {12, 16, SpanKind::Generated, -1, ""},
            {12, 14, SpanKind::Thinking, -1, ""}}};
}

std::vector<std::string> names(const TokenRegions& regions)
{
    std::vector<std::string> result;
    for (std::int64_t position = 0; position < regions.tokens(); ++position) {
        const TokenRegion& region = regions.regions()[static_cast<std::size_t>(regions.at(position))];
        result.push_back(region.shot < 0 ? region.name : region.name + std::to_string(region.shot));
    }
    return result;
}

TEST(TokenRegions, PutEveryTokenIntoOneRegion)
{
    const TokenRegions regions(fewShot());
    EXPECT_THAT(names(regions),
        ElementsAre("bos", "instruction", "instruction", "shot0", "shot0", "shot0", "shot1", "shot1", "shot1",
            "question", "question", "other", "thinking", "thinking", "generated", "generated"));
    EXPECT_THAT(regions.countWithin(0, 16), ElementsAre(1, 2, 3, 3, 2, 1, 2, 2));
    EXPECT_THAT(regions.countWithin(4, 10), ElementsAre(0, 0, 2, 3, 1, 0, 0, 0));
}

TEST(TokenRegions, GiveATokenToTheShortestSpan)
{
    const TokenRegions regions(PromptLayout(8, 8,
        {{0, 8, SpanKind::Context, -1, ""}, {2, 6, SpanKind::Evidence, -1, ""}, {3, 4, SpanKind::Needle, -1, ""}}));
    EXPECT_THAT(names(regions),
        ElementsAre("context", "context", "evidence", "needle", "evidence", "evidence", "context", "context"));
}

TEST(TokenRegions, LetThinkingWinOverGeneratedOfTheSameLength)
{
    const TokenRegions regions(
        PromptLayout(1, 3, {{1, 3, SpanKind::Generated, -1, ""}, {1, 3, SpanKind::Thinking, -1, ""}}));
    EXPECT_THAT(names(regions), ElementsAre("other", "thinking", "thinking"));
}

TEST(TokenRegions, NameTokensWithoutSpans)
{
    EXPECT_THAT(names(TokenRegions(PromptLayout(2, 3, {}))), ElementsAre("other", "other", "generated"));
    EXPECT_EQ(TokenRegions(PromptLayout(0)).regions().size(), 0U);
}

TEST(RegionMass, SharesTheAttentionOutAndSumsToOne)
{
    const TokenRegions regions(fewShot());
    // Half on BOS, then 1 .. 11 in units that sum to 66.
    std::vector<float> attention(12);
    std::iota(attention.begin(), attention.end(), 0.0F);
    attention[0] = 66.0F;
    const auto mass = massByRegion(attention, 0, regions);
    const std::vector<double> expected{66, 3, 12, 21, 19, 11, 0, 0};
    ASSERT_EQ(mass.size(), expected.size());
    for (std::size_t region = 0; region < mass.size(); ++region)
        EXPECT_NEAR(mass[region], expected[region] / 132.0, 1e-12) << region;
    EXPECT_NEAR(std::accumulate(mass.begin(), mass.end(), 0.0), 1.0, 1e-12);
}

TEST(RegionMass, CountsFromTheFirstPositionAndKnowsNoAttention)
{
    const TokenRegions regions(fewShot());
    EXPECT_THAT(massByRegion(std::vector<float>{1, 1, 2}, 8, regions),
        Pointwise(DoubleNear(1e-12), std::vector<double>{0, 0, 0, 0.25, 0.75, 0, 0, 0}));
    EXPECT_THAT(massByRegion(std::vector<float>{0, 0}, 8, regions), ElementsAre(0, 0, 0, 0, 0, 0, 0, 0));
}

} // namespace
} // namespace kvloupe
