// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/methods/keydiff.h"

#include "tests/core/methods/vector_case.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

namespace kvloupe {
namespace {

using namespace random_case;
using testing::ElementsAre;
using testing::FloatNear;

TEST(KeyDiff, ScoresByTheAngleToTheMeanDirection)
{
    // Directions east, east, north: the anchor points to (2, 1) / 3 whatever the lengths.
    const std::vector<float> keys{5, 0, 1, 0, 0, 2};
    const float east = -2.0F / std::sqrt(5.0F);
    const float north = -1.0F / std::sqrt(5.0F);
    EXPECT_THAT(keyDifferences(keys, 2, std::vector<std::int32_t>{0, 1, 2}),
        ElementsAre(FloatNear(east, 1e-6F), FloatNear(east, 1e-6F), FloatNear(north, 1e-6F)));
    EXPECT_THAT(keyDifferences(keys, 2, std::vector<std::int32_t>{2}), ElementsAre(FloatNear(-1, 1e-6F)));
    EXPECT_THAT(
        keyDifferences(std::vector<float>{1, -1, 0}, 1, std::vector<std::int32_t>{0, 1, 2}), ElementsAre(0, 0, 0))
        << "opposite keys have no mean direction, a key of zeros has none itself";
}

TEST(KeyDiff, InBlocksSeesOnlyWhatItHoldsAndTheNextBlock)
{
    // North, north, east four times. All at once, north is rare. Token by token after two held ones, the first east
    // meets two norths and stays; the others meet an east already.
    LayerEvidence view;
    view.queryHeads = 1;
    view.kvHeads = 1;
    view.headDim = 2;
    view.tokens = 6;
    const std::vector<float> keys{0, 1, 0, 1, 1, 0, 1, 0, 1, 0, 1, 0};
    view.keys = keys;
    const auto kept = [&](const char* spec) {
        const ScoredSample scored(parseMethod(spec), PromptLayout(6), std::span(&view, 1));
        return scored.choose(Budget::capacity(2)).kept.at(0).sets.at(0);
    };
    EXPECT_THAT(kept("keydiff"), ElementsAre(0, 1));
    EXPECT_THAT(kept("keydiff:block_size=1"), ElementsAre(0, 2));
    EXPECT_EQ(parseMethod("keydiff@paper").parameters.at("block_size"), "128");
    EXPECT_THAT(kept("keydiff@paper"), ElementsAre(0, 1)) << "one block holds the rest of a short prompt";
    EXPECT_THROW(parseMethod("keydiff:block_size=-1"), MethodError);
}

/// Scores of the keys `held` of one head, slowly: the cosine to the mean of unit vectors.
std::vector<float> slowDifferences(const VectorCase& given, int head, const std::vector<std::int32_t>& held)
{
    std::vector<double> anchor(static_cast<std::size_t>(given.headDim), 0.0);
    const auto lengthOf = [&](std::int32_t token) {
        double squares = 0.0;
        for (int channel = 0; channel < given.headDim; ++channel)
            squares += std::pow(static_cast<double>(given.key(head, token, channel)), 2);
        return std::sqrt(squares);
    };
    for (const std::int32_t token : held)
        for (int channel = 0; channel < given.headDim; ++channel)
            anchor[static_cast<std::size_t>(channel)] += static_cast<double>(given.key(head, token, channel))
                / lengthOf(token) / static_cast<double>(held.size());
    double squares = 0.0;
    for (const double value : anchor)
        squares += value * value;
    std::vector<float> scores;
    for (const std::int32_t token : held) {
        double product = 0.0;
        for (int channel = 0; channel < given.headDim; ++channel)
            product += static_cast<double>(given.key(head, token, channel)) * anchor[static_cast<std::size_t>(channel)];
        scores.push_back(static_cast<float>(-product / lengthOf(token) / std::sqrt(squares)));
    }
    return scores;
}

TEST(KeyDiffRandomCases, KeepTheKeysFarthestFromTheMeanDirection)
{
    Dice dice(102);
    for (int i = 0; i < cases; ++i) {
        VectorCase given = randomVectors(dice, 60, true);
        for (float& component : given.keys)
            component = component == 0.0F ? 1.0F : component;
        const BudgetCase budget = randomBudget(dice);
        const std::string rounding = dice.oneOf(roundings);
        const std::int64_t block = dice.oneOf<std::int64_t>({0, 0, 1, 7, 128});
        const std::int64_t count = budget.count(given.tokens, rounding);
        Sets expected;
        for (int head = 0; head < given.kvHeads; ++head) {
            std::vector<std::int32_t> held(static_cast<std::size_t>(block == 0 ? 0 : count));
            std::iota(held.begin(), held.end(), 0);
            const std::int64_t step = block == 0 ? given.tokens : block;
            for (std::int64_t begin = block == 0 ? 0 : count; begin < given.tokens; begin += step) {
                for (std::int64_t token = begin; token < std::min(given.tokens, begin + step); ++token)
                    held.push_back(static_cast<std::int32_t>(token));
                std::vector<std::int32_t> best;
                for (const std::int32_t place : largestOf(slowDifferences(given, head, held), count))
                    best.push_back(held[static_cast<std::size_t>(place)]);
                held = best;
            }
            expected.push_back(held);
        }
        const std::string spec = "keydiff:block_size=" + std::to_string(block) + ",budget_rounding=" + rounding;
        ASSERT_EQ(keptByCore(spec, given, budget.budget), expected)
            << "case " << i << ": " << spec << ", " << budget.description << " of " << given.tokens;
    }
}

} // namespace
} // namespace kvloupe
