// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/methods/knorm.h"

#include "tests/core/methods/vector_case.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kvloupe {
namespace {

using namespace random_case;
using testing::ElementsAre;

/// Eight layers of one head whose keys have these norms.
std::vector<LayerEvidence> layersOf(const std::vector<float>& norms)
{
    std::vector<LayerEvidence> layers;
    for (int layer = 0; layer < 8; ++layer) {
        LayerEvidence& view = layers.emplace_back();
        view.layer = layer;
        view.numLayers = 8;
        view.queryHeads = 1;
        view.kvHeads = 1;
        view.tokens = static_cast<std::int64_t>(norms.size());
        view.keyNorms = norms;
    }
    return layers;
}

TEST(Knorm, KeepsTheSmallestNormsAndProtectsNothing)
{
    const std::vector<float> norms{3, 1, 2, 1, 5, 9};
    const ScoredSample scored(parseMethod("knorm"), PromptLayout(6), layersOf(norms));
    EXPECT_THAT(scored.choose(Budget::capacity(1)).kept.at(0).sets, ElementsAre(ElementsAre(1)));
    EXPECT_THAT(scored.choose(Budget::capacity(3)).kept.at(7).sets, ElementsAre(ElementsAre(1, 2, 3)));
}

TEST(Knorm, KeepsSkippedLayersWholeAndSaysSo)
{
    const std::vector<float> norms{3, 1, 2, 1};
    const ScoredSample scored(parseMethod("knorm:skip_layers=0-1+6"), PromptLayout(4), layersOf(norms));
    const ReplayResult result = scored.choose(Budget::capacity(2));
    for (const auto& [layer, keep] : result.kept) {
        if (layer <= 1 || layer == 6)
            EXPECT_THAT(keep.sets, ElementsAre(ElementsAre(0, 1, 2, 3))) << layer;
        else
            EXPECT_THAT(keep.sets, ElementsAre(ElementsAre(1, 3))) << layer;
    }
    EXPECT_THAT(result.notes, ElementsAre("the layers of skip_layers are kept whole, beyond the budget"));

    const auto rankings = scored.rank(Budget::capacity(2));
    EXPECT_THAT(rankings.at(0).sets.at(0).guards, testing::Each(Guard::Layer));
    EXPECT_THAT(rankings.at(2).sets.at(0).guards, testing::Each(Guard::None));
    EXPECT_THAT(rankings.at(2).sets.at(0).scores, ElementsAre(-3, -1, -2, -1));

    const ScoredSample kvcf(parseMethod("knorm@kvcf"), PromptLayout(4), layersOf(norms));
    EXPECT_EQ(kvcf.choose(Budget::capacity(2)).kept.at(1).sets.at(0).size(), 4U);
    EXPECT_EQ(kvcf.choose(Budget::capacity(2)).kept.at(2).sets.at(0).size(), 2U);
}

TEST(Knorm, RefusesWhatIsNoListOfLayers)
{
    for (const char* wrong : {"all", "-1", "1-", "3-2", "1++2", "+", "1+", "0-1+x", "99999999999"})
        EXPECT_THROW(parseMethod(std::string("knorm:skip_layers=") + wrong), MethodError) << wrong;
    LayerEvidence view = layersOf({1, 2}).front();
    view.keyNorms = {};
    EXPECT_THROW(parseMethod("knorm").score(view, PromptLayout(2)), MethodError);
    EXPECT_FALSE(LayerSelection("none").contains(0));
    EXPECT_TRUE(LayerSelection("2+4-5").contains(5));
    EXPECT_FALSE(LayerSelection("2+4-5").contains(3));
}

TEST(KnormRandomCases, KeepTheSmallestNorms)
{
    Dice dice(101);
    for (int i = 0; i < cases; ++i) {
        VectorCase given = randomVectors(dice, 80);
        if (dice.upTo(1) == 0) // few levels, so that they tie
            for (float& norm : given.keyNorms)
                norm = static_cast<float>(dice.upTo(3));
        const BudgetCase budget = randomBudget(dice);
        const std::string rounding = dice.oneOf(roundings);
        const std::string skipped = dice.oneOf<std::string>({"none", "0-1", "3", "0+5-9"});
        const bool whole = skipped == "0-1" ? given.layer <= 1
            : skipped == "3"                ? given.layer == 3
            : skipped == "0+5-9"            ? given.layer == 0 || given.layer >= 5
                                            : false;
        const std::int64_t count = whole ? given.tokens : budget.count(given.tokens, rounding);
        Sets expected;
        for (int head = 0; head < given.kvHeads; ++head) {
            std::vector<float> nearness;
            for (std::int64_t token = 0; token < given.tokens; ++token)
                nearness.push_back(-given.keyNorms[static_cast<std::size_t>(head * given.tokens + token)]);
            expected.push_back(largestOf(nearness, count));
        }
        ASSERT_EQ(
            keptByCore("knorm:skip_layers=" + skipped + ",budget_rounding=" + rounding, given, budget.budget), expected)
            << "case " << i << ": " << skipped << ", " << budget.description << " of " << given.tokens;
    }
}

} // namespace
} // namespace kvloupe
