// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/methods/tova.h"

#include "tests/core/methods/policy_course.h"
#include "tests/core/methods/random_case.h"
#include "tests/core/methods/worked_example.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>

namespace kvloupe {
namespace {

using namespace random_case;
using namespace worked_example;
using testing::ElementsAre;

TEST(Tova, ScoresByTheLastRowMeanOverAllHeads)
{
    EXPECT_THAT(scoresOf("tova", group).values, ElementsAre(15, 1, 4.5, 7.5, 10.5, 13.5, 4, 10.5, 8, 7.5, 8, 10));
    EXPECT_EQ(scoresOf("tova", group).granularity, Granularity::Layer);
    EXPECT_EQ(scoresOf("tova@kvpress", group).values.back(), std::numeric_limits<float>::infinity());
}

TEST(Tova, LetsTheNewestTokenGoUnlessItIsProtected)
{
    EXPECT_THAT(kept("tova", group, Budget::capacity(5)), ElementsAre(0, 4, 5, 7, 11));
    EXPECT_THAT(kept("tova@kvpress", group, Budget::capacity(5)), ElementsAre(0, 4, 5, 7, 11));
    EXPECT_THAT(kept("tova", group, Budget::capacity(6)), ElementsAre(0, 4, 5, 7, 8, 11)) << "8 and 10 tie";
    EXPECT_THAT(kept("tova", group, Budget::capacity(4)), ElementsAre(0, 4, 5, 7));
    EXPECT_THAT(kept("tova@kvpress", group, Budget::capacity(4)), ElementsAre(0, 4, 5, 11)) << "4 and 7 tie";
    EXPECT_THAT(kept("tova@kvpress", group, Budget::capacity(1)), ElementsAre(11));
}

TEST(Tova, DecidesOncePerDefaultAndWithEveryTokenInThePaper)
{
    EXPECT_EQ(parseMethod("tova").decodePolicy, nullptr);
    EXPECT_EQ(parseMethod("tova").fidelity, Fidelity::Exact);
    EXPECT_EQ(parseMethod("tova@kvpress").decodePolicy, nullptr);
    const Method paper = parseMethod("tova@paper");
    ASSERT_NE(paper.decodePolicy, nullptr);
    EXPECT_EQ(paper.fidelity, Fidelity::Exact);
    EXPECT_EQ(paper.fidelityWhileDecoding(), Fidelity::Renormalised);
    EXPECT_EQ(paper.decodePolicy->granularity(), Granularity::Layer);
    EXPECT_TRUE(paper.decodePolicy->needs().attention);
}

TEST(Tova, GoesOnWhileDecodingAsTheWorkedExampleDoes)
{
    EXPECT_THAT(policyCourse("tova@paper", group, 1, 6, Budget::capacity(4)).alive.at(0),
        ElementsAre(ElementsAre(0, 2, 4, 5), ElementsAre(0, 2, 5, 6), ElementsAre(0, 5, 6, 7), ElementsAre(0, 5, 7, 8),
            ElementsAre(0, 5, 7, 9), ElementsAre(0, 5, 7, 10), ElementsAre(0, 5, 7, 11)));
}

TEST(Tova, SaysWhatItRankedTheTokensOfAStepBy)
{
    LastQueryPolicy policy(true);
    const std::vector<std::int32_t> start{3, 5};
    DecodeStart begin;
    begin.alive = start;
    begin.capacity = 2;
    EXPECT_THAT(policy.begin(begin), ElementsAre());
    const std::vector<std::int32_t> alive{3, 5, 9};
    const std::vector<float> attention{0.5F, 0.4F, 0.1F};
    DecodeStep step;
    step.position = 9;
    step.alive = alive;
    step.attention = attention;
    const DecodeVerdict verdict = policy.step(step);
    EXPECT_THAT(verdict.evicted, ElementsAre(5));
    EXPECT_THAT(verdict.hidden, ElementsAre());
    EXPECT_THAT(verdict.scores, ElementsAre(0.5F, 0.4F, testing::NanSensitiveFloatEq(NAN)));
    EXPECT_THAT(verdict.guards, ElementsAre(Guard::None, Guard::None, Guard::Recent));

    LastQueryPolicy unprotected(false);
    unprotected.begin(begin);
    EXPECT_THAT(unprotected.step(step).evicted, ElementsAre(9)) << "the newest token itself";
    step.alive = std::span(alive).first(2);
    step.attention = std::span(attention).first(2);
    EXPECT_THAT(unprotected.step(step).evicted, ElementsAre()) << "the budget is not exceeded";
}

TEST(Tova, TakesTheBestOfTheLastRowInRandomCases)
{
    Dice dice(11);
    for (int i = 0; i < cases; ++i) {
        const Case given = randomCase(dice);
        const BudgetCase budget = randomBudget(dice);
        const std::string rounding
            = dice.oneOf<std::string>({"auto", "exact_floor", "trunc_double", "round_half_even"});
        const bool protects = dice.upTo(1) == 0;
        const std::string spec
            = std::string("tova:protect_last=") + (protects ? "true" : "false") + ",budget_rounding=" + rounding;

        std::vector<Integers> rows;
        for (const auto& head : given.rows)
            rows.push_back(head.back());
        const auto set = recentThenBest(reduced(rows, members(given, "layer").front(), "mean"), given.tokens,
            budget.count(given.tokens, rounding), protects ? 1 : 0);
        ASSERT_EQ(keptByCore(spec, given, budget.budget), Sets(static_cast<std::size_t>(given.kvHeads), set))
            << "case " << i << ": " << spec << ", " << budget.description << " of " << given.tokens;
    }
}

TEST(Tova, CutsBackAfterEveryTokenInRandomCases)
{
    Dice dice(12);
    for (int i = 0; i < cases; ++i) {
        const DecodeCase given = randomDecodeCase(dice);
        const std::int64_t recent = dice.upTo(1);
        const std::int64_t capacity = dice.between(1, given.promptTokens);
        const std::string spec = std::string("tova@paper:protect_last=") + (recent == 1 ? "true" : "false");

        std::vector<int> heads(static_cast<std::size_t>(given.queryHeads()));
        std::iota(heads.begin(), heads.end(), 0);
        std::vector<std::int32_t> cache(static_cast<std::size_t>(given.promptTokens));
        std::iota(cache.begin(), cache.end(), 0);
        std::vector<float> lastRow(cache.size(), 0.0F); // levels are whole: their sum ranks as their mean does
        for (const auto& map : given.maps)
            for (std::size_t key = 0; key < lastRow.size(); ++key)
                lastRow[key] += map[lastRow.size() - 1][key];
        cache = keptOf(cache, lastRow, capacity, recent);
        Sets expected{cache};
        for (std::int64_t query = given.promptTokens; query < given.tokens; ++query) {
            cache.push_back(static_cast<std::int32_t>(query));
            cache = keptOf(cache, given.attention(cache, cache, query, heads, "mean"), capacity, recent);
            expected.push_back(cache);
        }
        const auto course
            = policyCourse(spec, given.maps, given.kvHeads, given.promptTokens, Budget::capacity(capacity));
        for (const Sets& set : course.alive)
            ASSERT_EQ(set, expected) << "case " << i << ": " << spec << ", " << capacity << " of "
                                     << given.promptTokens;
    }
}

} // namespace
} // namespace kvloupe
