// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/metrics/kept_share.h"
#include "core/metrics/oracle.h"
#include "core/metrics/position_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <set>

namespace kvloupe {
namespace {

using testing::ElementsAre;

using Positions = std::vector<std::int32_t>;

PromptLayout twoShots()
{
    return {20, 20,
        {{0, 1, SpanKind::Bos, -1, ""}, {2, 8, SpanKind::Shot, 0, ""}, {8, 14, SpanKind::Shot, 1, ""},
            {15, 20, SpanKind::Question, -1, ""}}};
}

Positions randomPositions(std::mt19937& random, int tokens, int percent)
{
    Positions result;
    for (int position = 0; position < tokens; ++position)
        if (static_cast<int>(random() % 100) < percent)
            result.push_back(position);
    return result;
}

TEST(KeptShare, CountsByRegion)
{
    const TokenRegions regions(twoShots()); // bos, other, shot 0, shot 1, question
    EXPECT_THAT(keptByRegion(Positions{0, 2, 3, 9, 19}, {0, 20}, regions),
        ElementsAre(KeptShare{1, 1}, KeptShare{2, 0}, KeptShare{6, 2}, KeptShare{6, 1}, KeptShare{5, 1}));
    EXPECT_THAT(keptByRegion(Positions{10, 13, 19}, {10, 20}, regions),
        ElementsAre(KeptShare{0, 0}, KeptShare{1, 0}, KeptShare{0, 0}, KeptShare{4, 2}, KeptShare{5, 1}))
        << "tokens that slid out of the window are not counted";
    EXPECT_EQ((KeptShare{6, 2}.fraction()), 2.0 / 6.0);
    EXPECT_TRUE(std::isnan(KeptShare{}.fraction()));
}

TEST(KeptShare, CountsByPositionInTenEqualParts)
{
    EXPECT_THAT(keptByPosition(Positions{0, 1, 2, 17, 19}, {0, 20}),
        ElementsAre(KeptShare{2, 2}, KeptShare{2, 1}, KeptShare{2, 0}, KeptShare{2, 0}, KeptShare{2, 0},
            KeptShare{2, 0}, KeptShare{2, 0}, KeptShare{2, 0}, KeptShare{2, 1}, KeptShare{2, 1}));
    // 3 parts of 8 tokens from 10 on: 10 11 | 12 13 14 | 15 16 17
    EXPECT_THAT(keptByPosition(Positions{11, 12, 14, 17}, {10, 18}, 3),
        ElementsAre(KeptShare{2, 1}, KeptShare{3, 2}, KeptShare{3, 1}));
    std::int64_t tokens = 0;
    for (const KeptShare& share : keptByPosition({}, {0, 7}))
        tokens += share.tokens;
    EXPECT_EQ(tokens, 7) << "fewer tokens than parts leave parts empty";
}

TEST(ShotCounts, TellWholeBrokenAndDroppedApart)
{
    const PromptLayout layout = twoShots();
    EXPECT_EQ(shotCounts(Positions{2, 3, 4, 5, 6, 7, 15}, {0, 20}, layout.shots()), (ShotCounts{1, 0, 1}));
    EXPECT_EQ(shotCounts(Positions{2, 3, 4, 5, 6, 13}, {0, 20}, layout.shots()), (ShotCounts{0, 2, 0}));
    EXPECT_EQ(shotCounts(Positions{1, 14}, {0, 20}, layout.shots()), (ShotCounts{0, 0, 2}));
    EXPECT_EQ(shotCounts(Positions{8, 9, 10, 11, 12, 13}, {8, 20}, layout.shots()), (ShotCounts{1, 0, 0}))
        << "an example outside the window is none";
    EXPECT_EQ(shotCounts(Positions{1}, {0, 20}, {}), ShotCounts{});
}

TEST(PositionSet, AgreesWithPlainSets)
{
    std::mt19937 random(11);
    for (int trial = 0; trial < 500; ++trial) {
        const int tokens = 1 + static_cast<int>(random() % 300);
        const Positions a = randomPositions(random, tokens, static_cast<int>(random() % 101));
        const Positions b = randomPositions(random, tokens, static_cast<int>(random() % 101));
        std::set<int> either(a.begin(), a.end());
        either.insert(b.begin(), b.end());
        std::int64_t common = 0;
        for (const int position : a)
            common += std::ranges::count(b, position);

        PositionSet first(a, tokens);
        const PositionSet second(b, tokens);
        EXPECT_EQ(first.count(), std::ssize(a));
        EXPECT_EQ(commonPositions(first, second), common);
        const double overlap = jaccard(first, second);
        EXPECT_GE(overlap, 0.0);
        EXPECT_LE(overlap, 1.0);
        EXPECT_EQ(overlap, jaccard(second, first));
        EXPECT_EQ(jaccard(first, first), 1.0);
        EXPECT_DOUBLE_EQ(
            overlap, either.empty() ? 1.0 : static_cast<double>(common) / static_cast<double>(either.size()));
        first.unite(second);
        EXPECT_EQ(first.count(), std::ssize(either));
    }
}

TEST(Oracle, KeepsTheTokensThatGeneratedQueriesLookAt)
{
    // 4 query heads over 2 KV heads, 5 tokens from position 10 on.
    const std::vector<float> future{5, 0, 1, 0, 2, //
        0, 0, 3, 1, 2, // set 0: 5 0 4 1 4
        1, 1, 1, 1, 1, //
        0, 2, 0, 2, 9}; // set 1: 1 3 1 3 10
    const KeepSet like{Granularity::KvHead, {{10, 11}, {10, 11, 12}}};
    const auto mass = futureMassOfSets(future, 4, 5, like);
    EXPECT_THAT(mass, ElementsAre(ElementsAre(5, 0, 4, 1, 4), ElementsAre(1, 3, 1, 3, 10)));
    EXPECT_THAT(oracleKeepSet(mass, 10, like).sets, ElementsAre(ElementsAre(10, 12), ElementsAre(11, 13, 14)))
        << "of equals the earlier";

    const KeepSet perQueryHead{Granularity::QueryHead, {{10}, {10}, {10}, {10}}};
    EXPECT_THAT(oracleKeepSet(futureMassOfSets(future, 4, 5, perQueryHead), 10, perQueryHead).sets,
        ElementsAre(ElementsAre(10), ElementsAre(12), ElementsAre(10), ElementsAre(14)));

    const KeepSet layer{Granularity::Layer, {{10, 12}, {10, 12}}};
    const auto layerMass = futureMassOfSets(future, 4, 5, layer);
    EXPECT_THAT(layerMass, ElementsAre(ElementsAre(6, 3, 5, 4, 14), ElementsAre(6, 3, 5, 4, 14)));
    EXPECT_THAT(oracleKeepSet(layerMass, 10, layer).sets, ElementsAre(ElementsAre(10, 14), ElementsAre(10, 14)));
}

} // namespace
} // namespace kvloupe
