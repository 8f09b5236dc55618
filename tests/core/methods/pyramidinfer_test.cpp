// SPDX-License-Identifier: GPL-3.0-or-later

// PyramidInfer against transcriptions of its code's rules.

#include "core/methods/pyramidinfer.h"

#include "tests/core/methods/random_case.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <numbers>
#include <numeric>

namespace kvloupe {
namespace {

using namespace random_case;
using testing::ElementsAre;

using Positions = std::vector<std::int32_t>;

double mean(const std::vector<std::int64_t>& values)
{
    return static_cast<double>(std::accumulate(values.begin(), values.end(), std::int64_t{}))
        / static_cast<double>(values.size());
}

TEST(PyramidInfer, CompoundsItsShareOverTheLayers)
{
    // Published settings: 20 % of the context after the last of 32 layers and 71 % on the average; 1.5 % and 52 %
    // of 40.
    PyramidPruner::Parameters parameters;
    parameters.recentRatio = 0.0;
    parameters.minContext = 0;
    const PyramidPruner pruner(parameters);
    constexpr std::int64_t tokens = 1'000'000;
    EXPECT_NEAR(mean(pruner.lengths(tokens, 32, 0.9)) / tokens, 0.71, 0.005);
    EXPECT_NEAR(static_cast<double>(pruner.lengths(tokens, 32, 0.9).back()) / tokens, 0.20, 0.03);
    EXPECT_NEAR(mean(pruner.lengths(tokens, 40, 0.8)) / tokens, 0.52, 0.005);
    EXPECT_NEAR(static_cast<double>(pruner.lengths(tokens, 40, 0.8).back()) / tokens, 0.015, 0.005);
    EXPECT_EQ(pruner.lengths(tokens, 32, 0.9).at(1), tokens) << "layer 0 passes everything on";
}

TEST(PyramidInfer, LetsTheNewestFifthAndOneVote)
{
    const PyramidPruner pruner({});
    EXPECT_EQ(pruner.votingRows(100), 21);
    EXPECT_EQ(pruner.votingRows(4), 1);
    EXPECT_EQ(pruner.votingRows(1), 1);
    EXPECT_EQ(pruner.voteWeight(0, 21), 1.0);
    EXPECT_EQ(pruner.voteWeight(10, 21), 1.1);
    EXPECT_EQ(pruner.voteWeight(20, 21), 1.2);
    EXPECT_EQ(pruner.voteWeight(0, 1), 1.0);
}

TEST(PyramidInfer, KeepsItsSinksWhateverTheVotes)
{
    PyramidPruner::Parameters parameters;
    parameters.recentRatio = 0.2; // 3 of 10 tokens vote
    parameters.decay = 0.0;
    parameters.minContext = 1;
    parameters.sinks = 2;
    const PyramidPruner pruner(parameters);
    const Positions entering{0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
    const std::vector<float> votes{0, 0, 5, 1, 9, 9, 2, 7, 7, 7};
    // Half of the 7 context tokens in the middle layer: 3.
    EXPECT_THAT(pruner.survivors(entering, votes, {1, 2, 10}, Budget::keep("0.1")), ElementsAre(0, 1, 4, 7, 8, 9));
    EXPECT_EQ(pruner.survivors(entering, votes, {0, 2, 10}, Budget::keep("0.1")), entering);
}

TEST(PyramidInferRandomCases, PrunesLayerAfterLayer)
{
    Dice dice(51);
    for (int i = 0; i < cases; ++i) {
        PyramidPruner::Parameters parameters;
        parameters.recentRatio = static_cast<double>(dice.upTo(10)) / 10.0;
        parameters.decay = static_cast<double>(dice.upTo(10)) / 10.0;
        parameters.minContext = dice.oneOf<std::int64_t>({0, 1, 5, 64});
        parameters.sinks = dice.oneOf<std::int64_t>({0, 1, 4});
        parameters.interval = static_cast<int>(dice.between(1, 3));
        const PyramidPruner pruner(parameters);
        const std::int64_t tokens = dice.between(1, 90);
        const int layers = static_cast<int>(dice.between(1, 9));
        const auto recent = static_cast<std::int64_t>(parameters.recentRatio * static_cast<double>(tokens));
        const std::int64_t voters = std::min(tokens, recent + 1);
        const std::int64_t least = std::min(parameters.minContext, tokens - voters);

        Positions core(static_cast<std::size_t>(tokens));
        std::iota(core.begin(), core.end(), 0);
        Positions expected = core;
        const std::vector<std::int64_t> lengths = pruner.lengths(tokens, layers, *parameters.decay);
        for (int layer = 0; layer < layers; ++layer) {
            ASSERT_EQ(core, expected) << "case " << i << ", layer " << layer;
            ASSERT_EQ(lengths[static_cast<std::size_t>(layer)], std::ssize(core));
            Integers levels;
            std::vector<float> votes;
            for (std::size_t slot = 0; slot < core.size(); ++slot) {
                levels.push_back(dice.upTo(5));
                votes.push_back(static_cast<float>(levels.back()));
            }
            core = pruner.survivors(core, votes, {layer, layers, tokens}, Budget::keep("0.5"));

            const std::int64_t context = std::ssize(expected) - voters;
            const double d = *parameters.decay;
            const double share = (1.0 - d) * (std::cos(std::numbers::pi * layer / layers) + 1.0) / 2.0 + d;
            if (context <= least || share >= 1.0 || layer % parameters.interval != 0)
                continue;
            auto kept = static_cast<std::int64_t>(static_cast<double>(context) * share);
            if (kept <= least)
                continue;
            for (std::int64_t slot = 0; slot < std::min(context, parameters.sinks); ++slot)
                levels[static_cast<std::size_t>(slot)] = 1000 - slot;
            std::vector<std::int32_t> order(static_cast<std::size_t>(context));
            std::iota(order.begin(), order.end(), 0);
            std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
                return levels[static_cast<std::size_t>(a)] > levels[static_cast<std::size_t>(b)];
            });
            order.resize(static_cast<std::size_t>(kept));
            std::sort(order.begin(), order.end());
            Positions next;
            for (const std::int32_t slot : order)
                next.push_back(expected[static_cast<std::size_t>(slot)]);
            next.insert(next.end(), expected.begin() + context, expected.end());
            expected = next;
        }
    }
}

TEST(PyramidInferRandomCases, FindsTheDecayThatMeetsTheBudget)
{
    Dice dice(52);
    int met = 0;
    for (int i = 0; i < cases / 10; ++i) {
        PyramidPruner::Parameters parameters;
        parameters.recentRatio = static_cast<double>(dice.upTo(3)) / 10.0;
        parameters.minContext = dice.oneOf<std::int64_t>({0, 8, 64});
        const PyramidPruner pruner(parameters);
        const std::int64_t tokens = dice.between(1, 2000);
        const int layers = static_cast<int>(dice.between(1, 40));
        const BudgetCase budget = randomBudget(dice);
        const double wanted = static_cast<double>(budget.count(tokens, "auto"));
        const double found = mean(pruner.lengths(tokens, layers, pruner.decayFor(tokens, layers, budget.budget)));
        double best = -1.0;
        double smallest = static_cast<double>(tokens);
        for (int step = 0; step <= 64; ++step) {
            const double average = mean(pruner.lengths(tokens, layers, step / 64.0));
            smallest = std::min(smallest, average);
            if (average <= wanted)
                best = std::max(best, average);
        }
        if (best < 0.0) {
            EXPECT_LE(found, smallest) << "case " << i;
        } else {
            ++met;
            EXPECT_LE(found, wanted) << "case " << i;
            EXPECT_GE(found, best) << "case " << i;
        }
    }
    EXPECT_GT(met, cases / 50);
    PyramidPruner::Parameters given;
    given.decay = 0.37;
    EXPECT_EQ(PyramidPruner(given).decayFor(100, 10, Budget::keep("0.1")), 0.37);
}

TEST(PyramidInferRandomCases, CutsGeneratedTokensBlockByBlock)
{
    Dice dice(53);
    std::int64_t cuts = 0;
    for (int i = 0; i < cases; ++i) {
        BlockCompression::Parameters parameters;
        parameters.recentRatio = static_cast<double>(dice.upTo(4)) / 10.0;
        parameters.block = dice.between(1, 6);
        parameters.ratio = static_cast<double>(dice.upTo(10)) / 10.0;
        parameters.decay = static_cast<double>(dice.upTo(10)) / 10.0;
        const auto policy = BlockCompression(parameters).clone();
        const std::int64_t prompt = dice.between(1, 20);
        const std::int64_t steps = dice.between(1, 30);
        DecodeStart start;
        start.numLayers = static_cast<int>(dice.between(1, 6));
        start.layer = static_cast<int>(dice.upTo(start.numLayers - 1));
        start.promptTokens = prompt;
        Positions alive;
        for (std::int64_t token = 0; token < prompt; ++token)
            if (token + 1 == prompt || dice.upTo(3) > 0)
                alive.push_back(static_cast<std::int32_t>(token));
        start.alive = alive;
        policy->begin(start);

        // As the code has it: rows of the last 1 + R queries, lengths and slots of the cache.
        const auto recent = static_cast<std::int64_t>(parameters.recentRatio * static_cast<double>(prompt));
        const std::int64_t block = parameters.block;
        const double share
            = (1.0 - parameters.decay) * (std::cos(std::numbers::pi * start.layer / start.numLayers) + 1.0) / 2.0
            + parameters.decay;
        const auto kept = std::max<std::int64_t>(
            1, static_cast<std::int64_t>(static_cast<double>(block) * parameters.ratio * share));
        std::int64_t pastLength = std::ssize(alive);
        std::deque<std::map<std::int32_t, double>> rows;
        for (std::int64_t n = 0; n < steps; ++n) {
            alive.push_back(static_cast<std::int32_t>(prompt + n));
            std::vector<float> attention;
            std::map<std::int32_t, double> row;
            for (const std::int32_t token : alive) {
                attention.push_back(static_cast<float>(dice.upTo(7)) / 8.0F);
                row[token] = static_cast<double>(attention.back());
            }
            DecodeStep step;
            step.position = prompt + n;
            step.alive = alive;
            step.attention = attention;
            const DecodeVerdict verdict = policy->step(step);
            rows.push_back(row);
            if (std::ssize(rows) > recent + 1)
                rows.pop_front();

            Positions evicted;
            if (std::ssize(alive) - recent - pastLength >= block) {
                ++cuts;
                const auto end = alive.end() - 1 - recent;
                const Positions candidates(end - block, end);
                std::vector<float> scores;
                for (const std::int32_t token : candidates) {
                    double sum = 0.0;
                    for (std::int64_t r = 0; r <= recent; ++r)
                        sum += (recent == 0 ? 1.0
                                            : 1.0
                                           + (parameters.distanceWeight - 1.0) * static_cast<double>(r)
                                               / static_cast<double>(recent))
                            * rows[static_cast<std::size_t>(r)][token];
                    scores.push_back(static_cast<float>(sum / static_cast<double>(recent + 1)));
                }
                const Positions best = recentThenBest(scores, block, kept, 0);
                for (std::size_t slot = 0; slot < candidates.size(); ++slot)
                    if (!std::ranges::binary_search(best, static_cast<std::int32_t>(slot)))
                        evicted.push_back(candidates[slot]);
                pastLength = std::ssize(alive) - std::ssize(evicted) - recent;
            }
            ASSERT_EQ(verdict.evicted, evicted) << "case " << i << ", step " << n;
            Positions rest;
            std::ranges::set_difference(alive, evicted, std::back_inserter(rest));
            alive = rest;
        }
    }
    EXPECT_GT(cuts, cases);
}

TEST(PyramidInfer, HasAPrunerInPlaceOfAChooser)
{
    const Method method = parseMethod("pyramidinfer");
    EXPECT_EQ(method.chooser, nullptr);
    EXPECT_NE(method.layerPruner, nullptr);
    EXPECT_EQ(method.fidelity, Fidelity::Approximate);
    EXPECT_EQ(method.parameters.at("decay"), "auto");
    EXPECT_EQ(parseMethod("pyramidinfer:phases=prefill").decodePolicy, nullptr);
    EXPECT_THROW(parseMethod("pyramidinfer:decay=2"), MethodError);
    EXPECT_THROW(parseMethod("pyramidinfer:gen_block=0"), MethodError);
    EXPECT_THROW(parseMethod("adakv:scorer=pyramidinfer"), MethodError);
}

} // namespace
} // namespace kvloupe
