// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/methods/observed_attention.h"

#include "tests/core/methods/random_case.h"
#include "tests/core/methods/worked_example.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kvloupe {
namespace {

using namespace random_case;
using namespace worked_example;
using testing::ElementsAre;
using testing::FloatNear;
using testing::Pointwise;

TEST(ObservedAttention, DividesColumnSumsByTheQueriesThatSeeTheToken)
{
    EXPECT_THAT(scoresOf("observed_attention", head0).values,
        Pointwise(FloatNear(6e-5F),
            {39.5833F, 9.0909F, 14.4F, 7.5556F, 18.625F, 7.4286F, 6.3333F, 14.2F, 10.5F, 9.3333F, 11.5F, 10.0F}));
    EXPECT_THAT(scoresOf("observed_attention@kvpress", group).values,
        Pointwise(FloatNear(6e-5F),
            {35.0F, 9.5F, 11.25F, 10.5F, 14.625F, 19.0F, 7.75F, 12.2F, 11.125F, 10.3333F, 12.75F, 10.0F}));
}

TEST(ObservedAttention, ProtectsNothing)
{
    const Budget six = Budget::capacity(6);
    EXPECT_THAT(kept("observed_attention", head0, six), ElementsAre(0, 2, 4, 7, 8, 10));
    EXPECT_THAT(kept("observed_attention", head1, six), ElementsAre(0, 3, 5, 8, 9, 10));
    EXPECT_THAT(kept("observed_attention", group, six), ElementsAre(0, 2, 4, 5, 7, 10)) << "the last token goes";
    EXPECT_THAT(
        kept("observed_attention@kvpress", group, Budget::compressionRatio("0.5")), ElementsAre(0, 2, 4, 5, 7, 10));
}

/// A sum over a number of queries; compared without dividing.
struct Share {
    std::int64_t sum = 0;
    std::int64_t queries = 1;

    bool operator>(const Share& other) const { return sum * other.queries > other.sum * queries; }
};

TEST(ObservedAttention, TakesTheLargestSharesInRandomCases)
{
    Dice dice(13);
    for (int i = 0; i < cases; ++i) {
        const Case given = randomCase(dice);
        const BudgetCase budget = randomBudget(dice);
        const std::string rounding
            = dice.oneOf<std::string>({"auto", "exact_floor", "trunc_double", "round_half_even"});
        const std::string granularity = dice.oneOf<std::string>({"layer", "kv_head", "q_head"});
        const std::string reduction = dice.oneOf<std::string>({"mean", "max", "sum"});
        const std::string spec = "observed_attention:granularity=" + granularity + ",gqa_reduce=" + reduction
            + ",budget_rounding=" + rounding;

        Sets expected;
        for (const auto& heads : members(given, granularity)) {
            std::vector<Share> shares;
            for (const std::int64_t sum : reduced(given.sums, heads, reduction))
                shares.push_back({sum, given.tokens - static_cast<std::int64_t>(shares.size())});
            expected.push_back(recentThenBest(shares, given.tokens, budget.count(given.tokens, rounding), 0));
        }
        ASSERT_EQ(keptByCore(spec, given, budget.budget), repeatedForLayer(expected, granularity, given.kvHeads))
            << "case " << i << ": " << spec << ", " << budget.description << " of " << given.tokens;
    }
}

} // namespace
} // namespace kvloupe
