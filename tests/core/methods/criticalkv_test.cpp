// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/methods/criticalkv.h"

#include "core/methods/adakv.h"
#include "tests/core/methods/vector_case.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>

namespace kvloupe {
namespace {

using namespace random_case;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr float infinity = std::numeric_limits<float>::infinity();

/// What one head of these scores and weights keeps.
std::vector<std::int32_t> kept(const char* spec, const std::vector<float>& values, const std::vector<float>& weights,
    std::int64_t capacity, LayerRanking* ranking = nullptr)
{
    Scores scores;
    scores.sets = 1;
    scores.tokens = static_cast<std::int64_t>(values.size());
    scores.values = values;
    scores.weights = weights;
    const PromptLayout layout(scores.tokens);
    const std::vector<int> layers{0};
    const Budget budget = Budget::capacity(capacity);
    const ChoiceContext context{layers, 1, 1, budget, layout, 0};
    const Method method = parseMethod(spec);
    if (ranking != nullptr)
        *ranking = method.chooser->rank(std::span(&scores, 1), context).front();
    return method.chooser->choose(std::span(&scores, 1), context).front().sets.front();
}

TEST(CriticalKv, TakesAFirstShareByScoresAloneAndTheRestByScoreTimesWeight)
{
    // Half of four by score: 0 and 1. Of the others, weighed: 4 * 1, 3 * 2, 2 * 5, 1 * 7.
    const std::vector<float> scores{9, 8, 4, 3, 2, 1};
    const std::vector<float> weights{0, 0, 1, 2, 5, 7};
    LayerRanking ranking;
    EXPECT_THAT(kept("criticalkv:epsilon=0", scores, weights, 4, &ranking), ElementsAre(0, 1, 4, 5));
    using enum Guard;
    EXPECT_THAT(ranking.sets.front().guards, ElementsAre(FirstStage, FirstStage, None, None, None, None));
    EXPECT_EQ(ranking.sets.front().scores.at(4), 10.0F);
    EXPECT_TRUE(std::isnan(ranking.sets.front().scores.at(0)));
    EXPECT_FALSE(ranking.joint);

    EXPECT_THAT(kept("criticalkv:epsilon=0,first_share=1", scores, weights, 4), ElementsAre(0, 1, 2, 3));
    EXPECT_THAT(kept("criticalkv:epsilon=0,first_share=0", scores, weights, 4), ElementsAre(2, 3, 4, 5));
    EXPECT_THAT(kept("criticalkv:epsilon=0,first_share=0.2", scores, weights, 2), ElementsAre(0, 4))
        << "floor(0.4), but at least 1";
    EXPECT_THAT(kept("criticalkv:epsilon=100", scores, {0, 0, 1, 1, 1, 2}, 3), ElementsAre(0, 2, 5))
        << "epsilon brings weights to the fore";
}

TEST(CriticalKv, CountsWhatTheScorerProtectsInTheFirstStage)
{
    const std::vector<float> scores{1, 5, 2, infinity, infinity};
    const std::vector<float> weights{9, 0, 1, 0, 0};
    LayerRanking ranking;
    EXPECT_THAT(kept("criticalkv", scores, weights, 4, &ranking), ElementsAre(0, 2, 3, 4));
    using enum Guard;
    EXPECT_THAT(ranking.sets.front().guards, ElementsAre(None, None, None, Window, Window));
    EXPECT_THAT(kept("criticalkv", scores, weights, 1), ElementsAre(4));
}

TEST(CriticalKv, WeighsByTheMeanOverTheGroup)
{
    LayerEvidence view;
    view.queryHeads = 4;
    view.kvHeads = 2;
    view.headDim = 1;
    view.tokens = 2;
    const std::vector<float> norms{1, 2, 3, 4};
    const std::vector<float> output{1, 2, 3, 6, 10, 20, 30, 50};
    view.keyNorms = norms;
    view.outputValueNorms = output;
    const PromptLayout layout(2);
    const Scores scores = parseMethod("criticalkv:scorer=knorm").score(view, layout);
    EXPECT_THAT(scores.weights, ElementsAre(2, 4, 20, 35));
    EXPECT_THAT(scores.values, ElementsAre(-1, -2, -3, -4));
    EXPECT_TRUE(parseMethod("criticalkv:scorer=knorm").needs(layout).outputValueNorms);
    EXPECT_TRUE(parseMethod("criticalkv:scorer=knorm").needs(layout).keyNorms);
    view.outputValueNorms = {};
    EXPECT_THROW(parseMethod("criticalkv:scorer=knorm").score(view, layout), MethodError);
    EXPECT_TRUE(parseMethod("criticalkv").withoutPooling().has_value());
    EXPECT_FALSE(parseMethod("criticalkv:scorer=knorm").withoutPooling().has_value());
}

TEST(CriticalKv, SaysThatExpectedAttentionWeighsValuesAlready)
{
    Dice dice(7);
    const VectorCase given = randomVectors(dice, 20, true);
    const EvidenceTable table = given.evidence();
    const auto notes = [&](const char* spec) {
        const ScoredSample scored(parseMethod(spec), PromptLayout(given.tokens), std::span(&table.view, 1));
        return scored.choose(Budget::capacity(100)).notes;
    };
    EXPECT_THAT(notes("criticalkv:scorer=expected_attention"), ElementsAre(HasSubstr("weighed twice")));
    EXPECT_THAT(notes("criticalkv:scorer=expected_attention,scorer.vnorm=false"), IsEmpty());
}

TEST(CriticalKv, RefusesWhatDoesNotGoTogether)
{
    EXPECT_THROW(parseMethod("criticalkv:ada=true,scorer.granularity=layer"), MethodError);
    EXPECT_NO_THROW(parseMethod("criticalkv:scorer.granularity=layer"));
    EXPECT_THROW(parseMethod("criticalkv:first_share=1.5"), MethodError);
    EXPECT_THROW(parseMethod("criticalkv:epsilon=-1"), MethodError);
    EXPECT_THROW(parseMethod("criticalkv:scorer=full"), MethodError);
    EXPECT_EQ(parseMethod("criticalkv@kvpress-ada").chooser->scope(), ChooserScope::Layer);
    EXPECT_EQ(parseMethod("criticalkv@kvpress").chooser->scope(), ChooserScope::Head);
}

TEST(CriticalKvRandomCases, KeepTwoStagesOfEverySet)
{
    Dice dice(112);
    for (int i = 0; i < cases; ++i) {
        VectorCase given = randomVectors(dice, 60);
        addAttention(given, dice);
        const BudgetCase budget = randomBudget(dice);
        const std::string rounding = dice.oneOf(roundings);
        const bool ada = dice.upTo(1) == 0;
        const std::string granularity = ada ? dice.oneOf<std::string>({"kv_head", "q_head"})
                                            : dice.oneOf<std::string>({"layer", "kv_head", "q_head"});
        const std::int64_t window = dice.oneOf<std::int64_t>({1, 3, 8, 100});
        const std::string share = dice.oneOf<std::string>({"0", "0.25", "0.5", "1"});
        const std::string alpha = dice.oneOf<std::string>({"0", "0.2", "1"});
        const std::int64_t halves = dice.oneOf<std::int64_t>({0, 1, 4}); // epsilon, in halves
        const std::int64_t count = budget.count(given.tokens, rounding);
        const std::int64_t guarded = std::min(window, given.tokens);
        const auto votes = windowVotes(given, window, given.tokens - guarded);
        std::vector<Integers> weights; // of query heads
        for (int head = 0; head < given.queryHeads(); ++head)
            for (std::int64_t token = 0; token < given.tokens; ++token) {
                if (token == 0)
                    weights.emplace_back();
                weights.back().push_back(static_cast<std::int64_t>(
                    given.outputValueNorms[static_cast<std::size_t>(head * given.tokens + token)]));
            }
        // Weights come in multiples of 6 per query head; nine heads of a layer share few levels of exact means.
        const auto groups = members(given, granularity);
        for (const auto& heads : groups) {
            const auto size = static_cast<std::int64_t>(heads.size());
            for (std::size_t token = 0; token < static_cast<std::size_t>(given.tokens); ++token) {
                std::int64_t sum = 0;
                for (const int head : heads)
                    sum += weights[static_cast<std::size_t>(head)][token];
                const std::int64_t excess = sum % (4 * size);
                auto& last = weights[static_cast<std::size_t>(heads.back())][token];
                last += excess == 0 ? 0 : 4 * size - excess;
                given.outputValueNorms[static_cast<std::size_t>(heads.back() * given.tokens) + token]
                    = static_cast<float>(last);
            }
        }
        const std::string spec = std::string("criticalkv:ada=") + (ada ? "1" : "0") + ",first_share=" + share
            + ",alpha=" + alpha + ",epsilon="
            + (halves == 0        ? "0"
                    : halves == 1 ? "0.5"
                                  : "2")
            + ",scorer.kernel=1,scorer.gqa_reduce=sum,scorer.window=" + std::to_string(window)
            + ",scorer.granularity=" + granularity + ",budget_rounding=" + rounding;
        Sets budgets; // only their sizes matter
        if (ada)
            budgets = keptByCore("adakv:alpha=" + alpha + ",scorer.kernel=1,scorer.gqa_reduce=sum,scorer.window="
                    + std::to_string(window) + ",scorer.granularity=" + granularity + ",budget_rounding=" + rounding,
                given, budget.budget);

        Sets expected;
        for (std::size_t set = 0; set < groups.size(); ++set) {
            const Integers scores = reduced(votes, groups[set], "sum");
            const Integers weight = reduced(weights, groups[set], "sum");
            const std::int64_t own = ada ? static_cast<std::int64_t>(budgets[set].size()) : count;
            auto first = static_cast<std::int64_t>(static_cast<double>(own) * std::stod(share));
            if (!ada && share != "0")
                first = std::max<std::int64_t>(first, 1);
            if (ada) {
                const auto safe = static_cast<std::int64_t>(static_cast<double>(count) * std::stod(alpha));
                first = std::max(first, alpha == "0" ? 0 : std::max<std::int64_t>(safe, 1));
            }
            first = std::min(own, std::max(first, guarded));
            const auto firsts = recentThenBest(scores, given.tokens, first, guarded);
            Integers weighed(static_cast<std::size_t>(given.tokens), 0);
            for (std::size_t token = 0; token < scores.size(); ++token) // scores are in 1/64, epsilon in 1/2
                weighed[token] = (scores[token] + 32 * halves) * weight[token];
            for (const std::int32_t token : firsts)
                weighed[static_cast<std::size_t>(token)] = std::int64_t{1} << 60;
            for (std::int64_t token = given.tokens - guarded; token < given.tokens; ++token)
                if (own <= guarded) // only the newest of the window are kept
                    weighed[static_cast<std::size_t>(token)] = (std::int64_t{1} << 60) + token;
            expected.push_back(largestOf(weighed, own));
        }
        ASSERT_EQ(keptByCore(spec, given, budget.budget), repeatedForLayer(expected, granularity, given.kvHeads))
            << "case " << i << ": " << spec << ", " << budget.description << " of " << given.tokens;
    }
}

} // namespace
} // namespace kvloupe
