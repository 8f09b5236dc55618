// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/methods/lagkv.h"

#include "tests/core/methods/vector_case.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>

namespace kvloupe {
namespace {

using namespace random_case;
using testing::Each;
using testing::ElementsAre;
using testing::FloatNear;

constexpr float infinity = std::numeric_limits<float>::infinity();

/// One head of two channels.
Scores scoresOf(const char* spec, const std::vector<float>& keys, const std::vector<float>& values)
{
    LayerEvidence view;
    view.queryHeads = 1;
    view.kvHeads = 1;
    view.headDim = 2;
    view.tokens = static_cast<std::int64_t>(keys.size() / 2);
    view.keys = keys;
    view.values = values;
    return parseMethod(spec).score(view, PromptLayout(view.tokens));
}

TEST(LagKv, RanksEachBlockAgainstTheRangesOfTheNext)
{
    // A sink, two blocks of three, one token more. The second block spans 0..2 and 0..4, so that the keys of the first
    // become (0, 1), (0.5, 0.5), (2, 0): deviations 1, 0 and 2, each over the square root of 2.
    const std::vector<float> keys{9, 9, 0, 4, 1, 2, 4, 0, 0, 0, 2, 4, 1, 1, 7, 7};
    const Scores ranked = scoresOf("lagkv:n_sink=1,lag=3", keys, keys);
    EXPECT_THAT(
        ranked.values, ElementsAre(infinity, 1.0F / 3.0F, 0, 2.0F / 3.0F, infinity, infinity, infinity, infinity));

    const Scores crossed = scoresOf("lagkv:n_sink=1,lag=3,cross_scoring=true", keys, keys);
    const double root = std::sqrt(0.5);
    const double sum = std::exp(root) + 1.0 + std::exp(2 * root);
    EXPECT_THAT(crossed.values,
        ElementsAre(infinity, FloatNear(static_cast<float>(std::exp(root) / sum), 1e-6F),
            FloatNear(static_cast<float>(1.0 / sum), 1e-6F),
            FloatNear(static_cast<float>(std::exp(2 * root) / sum), 1e-6F), infinity, infinity, infinity, infinity));
}

TEST(LagKv, GivesTheEarlierOfEqualTokensTheHigherRank)
{
    const std::vector<float> keys{0, 4, 0, 4, 4, 0, 0, 0, 2, 4, 1, 1};
    EXPECT_THAT(scoresOf("lagkv:n_sink=0,lag=3", keys, keys).values,
        ElementsAre(1.0F / 3.0F, 0, 2.0F / 3.0F, infinity, infinity, infinity));
}

TEST(LagKv, IgnoresChannelsThatDoNotVaryInTheReference)
{
    // The second channel of the second block is 5 throughout.
    const std::vector<float> keys{0, 7, 3, 9, 1, 5, 1, 5, 0, 5, 2, 5};
    const std::vector<float> flat{0, 0, 3, 0, 1, 0, 1, 0, 0, 0, 2, 0};
    EXPECT_EQ(scoresOf("lagkv:n_sink=0,lag=3,cross_scoring=1", keys, keys).values,
        scoresOf("lagkv:n_sink=0,lag=3,cross_scoring=1", flat, flat).values);
}

TEST(LagKv, KeepsSinksAndTheNewestTokensOfShortPrompts)
{
    const std::vector<float> keys(2 * 10, 1.0F);
    EXPECT_THAT(scoresOf("lagkv", keys, keys).values,
        ElementsAre(infinity, infinity, infinity, infinity, 0, 1 / 6.0F, 2 / 6.0F, 3 / 6.0F, 4 / 6.0F, 5 / 6.0F));
    EXPECT_THAT(scoresOf("lagkv", {1, 1, 1, 1}, {1, 1, 1, 1}).values, Each(infinity));
    EXPECT_THROW(parseMethod("lagkv:lag=0"), MethodError);
    EXPECT_THROW(parseMethod("lagkv:n_sink=-1"), MethodError);
}

/// Scores of one head by the definition; `kept first` are larger than all others.
std::vector<double> slowScores(const VectorCase& given, int head, std::int64_t sinks, std::int64_t lag, bool crossed)
{
    std::vector<double> scores(static_cast<std::size_t>(given.tokens), 1e9);
    const std::int64_t behind = given.tokens - sinks;
    if (behind < 2 * lag) {
        for (std::int64_t token = std::min(sinks, given.tokens); token < given.tokens; ++token)
            scores[static_cast<std::size_t>(token)] = static_cast<double>(token - sinks) / static_cast<double>(behind);
        return scores;
    }
    const auto softmaxed = [&](auto number, std::int64_t begin) {
        std::vector<double> deviations;
        for (std::int64_t token = begin; token < begin + lag; ++token) {
            std::vector<double> scaled;
            for (int channel = 0; channel < given.headDim; ++channel) {
                double least = 1e9;
                double most = -1e9;
                for (std::int64_t next = begin + lag; next < begin + 2 * lag; ++next) {
                    least = std::min(least, static_cast<double>(number(next, channel)));
                    most = std::max(most, static_cast<double>(number(next, channel)));
                }
                scaled.push_back(
                    most > least ? (static_cast<double>(number(token, channel)) - least) / (most - least) : 0.0);
            }
            const double mean = std::accumulate(scaled.begin(), scaled.end(), 0.0) / given.headDim;
            double squares = 0.0;
            for (const double value : scaled)
                squares += (value - mean) * (value - mean);
            deviations.push_back(given.headDim == 1 ? 0.0 : std::sqrt(squares / (given.headDim - 1)));
        }
        const double largest = *std::max_element(deviations.begin(), deviations.end());
        double sum = 0.0;
        for (const double deviation : deviations)
            sum += std::exp(deviation - largest);
        for (double& deviation : deviations)
            deviation = std::exp(deviation - largest) / sum;
        return deviations;
    };
    const std::int64_t end = sinks + behind / lag * lag;
    for (std::int64_t begin = sinks; begin + lag < end; begin += lag) {
        const auto ofKeys = softmaxed([&](std::int64_t t, int c) { return given.key(head, t, c); }, begin);
        const auto ofValues = softmaxed([&](std::int64_t t, int c) { return given.value(head, t, c); }, begin);
        std::vector<double> both;
        for (std::size_t i = 0; i < ofKeys.size(); ++i)
            both.push_back((ofKeys[i] + ofValues[i]) / 2.0);
        for (std::size_t i = 0; i < both.size(); ++i) {
            double below = 0.0;
            for (std::size_t other = 0; other < both.size(); ++other)
                below += both[other] < both[i] || (both[other] == both[i] && other > i) ? 1.0 : 0.0;
            scores[static_cast<std::size_t>(begin) + i]
                = static_cast<double>(static_cast<float>(crossed ? both[i] : below / static_cast<double>(lag)));
        }
    }
    return scores;
}

TEST(LagKvRandomCases, KeepTheHighestRanksOfEveryBlock)
{
    Dice dice(103);
    for (int i = 0; i < cases; ++i) {
        VectorCase given = randomVectors(dice, 60);
        if (dice.upTo(3) == 0) // a channel that does not vary
            for (std::size_t at = 0; at < given.keys.size(); at += static_cast<std::size_t>(given.headDim))
                given.keys[at] = 0.5F;
        const BudgetCase budget = randomBudget(dice);
        const std::string rounding = dice.oneOf(roundings);
        const std::int64_t sinks = dice.oneOf<std::int64_t>({0, 1, 4, 100});
        const std::int64_t lag = dice.oneOf<std::int64_t>({1, 2, 5, 8, 128});
        const bool crossed = dice.upTo(2) == 0;
        const std::int64_t count = budget.count(given.tokens, rounding);
        const std::int64_t behind = std::max<std::int64_t>(given.tokens - sinks, 0);
        const std::int64_t newest = behind == 0 ? given.tokens : behind < 2 * lag ? 0 : lag + behind % lag;
        const std::int64_t guardedSinks = behind == 0 ? 0 : sinks;
        Sets expected;
        for (int head = 0; head < given.kvHeads; ++head) {
            const auto scores = slowScores(given, head, sinks, lag, crossed);
            if (count >= guardedSinks + newest) {
                expected.push_back(largestOf(scores, count));
                continue;
            }
            std::vector<std::int32_t> order; // one newest, sinks, the other newest ones; without newest ones sinks
            if (newest > 0)
                order.push_back(static_cast<std::int32_t>(given.tokens - 1));
            for (std::int64_t token = 0; token < guardedSinks; ++token)
                order.push_back(static_cast<std::int32_t>(token));
            for (std::int64_t token = given.tokens - 2; token >= given.tokens - newest; --token)
                order.push_back(static_cast<std::int32_t>(token));
            order.resize(static_cast<std::size_t>(count));
            std::sort(order.begin(), order.end());
            expected.push_back(order);
        }
        const std::string spec = "lagkv:n_sink=" + std::to_string(sinks) + ",lag=" + std::to_string(lag)
            + ",cross_scoring=" + (crossed ? "true" : "false") + ",budget_rounding=" + rounding;
        ASSERT_EQ(keptByCore(spec, given, budget.budget), expected)
            << "case " << i << ": " << spec << ", " << budget.description << " of " << given.tokens;
    }
}

} // namespace
} // namespace kvloupe
