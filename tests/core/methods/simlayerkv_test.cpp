// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/methods/simlayerkv.h"

#include "tests/core/methods/random_case.h"
#include "tests/core/methods/worked_example.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

namespace kvloupe {
namespace {

using namespace random_case;
using namespace worked_example;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

/// The worked maps as shares instead of percent.
Maps shares(Maps maps)
{
    for (auto& map : maps)
        for (auto& row : map)
            for (float& cell : row)
                cell /= 100.0F;
    return maps;
}

TEST(SimLayerKv, CutsALayerThatLooksAtItsEnds)
{
    // Mean last row 15 1 4.5 7.5 10.5 13.5 4 10.5 8 7.5 8 | 10: the first and the last three before the query hold
    // .385.
    const Budget any = Budget::keep("0.1");
    EXPECT_THAT(kept("simlayerkv:n_initial=1,n_recent=3,threshold=0.384", shares(group), any), ElementsAre(0, 10, 11));
    EXPECT_THAT(kept("simlayerkv:n_initial=1,n_recent=3,threshold=0.386", shares(group), any), SizeIs(12));
    EXPECT_THAT(kept("simlayerkv:n_initial=0,n_recent=3,threshold=0.2", shares(group), any), ElementsAre(10, 11));
}

TEST(SimLayerKv, CutsNothingOfShortPromptsOrWithAThresholdOfOne)
{
    const Budget any = Budget::keep("0.1");
    EXPECT_THAT(kept("simlayerkv", shares(group), any), SizeIs(12));
    EXPECT_THAT(kept("simlayerkv:n_initial=4,n_recent=7,threshold=0", shares(group), any), SizeIs(12)) << "4 + 7 + 1";
    EXPECT_THAT(kept("simlayerkv:n_initial=4,n_recent=6,threshold=0", shares(group), any), SizeIs(9));
    EXPECT_THAT(kept("simlayerkv@kvpress:n_initial=1,n_recent=3", head0, any), SizeIs(12)) << "percent, far above 1";
}

TEST(SimLayerKv, SaysThatItTakesNoBudget)
{
    std::vector<std::string> notes;
    kept("simlayerkv", group, Budget::keep("0.1"), PromptLayout(12), 0, 1, &notes);
    ASSERT_THAT(notes, SizeIs(2));
    EXPECT_THAT(notes[0], HasSubstr("no budget"));
    EXPECT_THAT(notes[0], HasSubstr("first 4 and newest 1023 tokens"));
    EXPECT_THAT(notes[1], HasSubstr("no layer of 1029 tokens or less; this one has 12"));
    notes.clear();
    kept("simlayerkv:n_initial=1,n_recent=3", group, Budget::keep("0.1"), PromptLayout(12), 0, 1, &notes);
    EXPECT_THAT(notes, SizeIs(1));
}

TEST(SimLayerKv, GuardsTheEndsOfALazyLayerAndTheWholeOfOthers)
{
    const auto guards = [](const char* spec) {
        const std::vector<Scores> scores{scoresOf(spec, shares(group))};
        const std::vector<int> layers{0};
        const Budget budget = Budget::keep("0.5");
        const PromptLayout layout(12);
        const auto ranking = parseMethod(spec).chooser->rank(scores, {layers, 1, 2, budget, layout, 0, nullptr});
        EXPECT_EQ(ranking.at(0).sets.size(), 2U);
        EXPECT_TRUE(ranking.at(0).sets.at(1).scores.empty());
        return ranking.at(0).sets.at(1).guards;
    };
    std::vector<Guard> lazy(12, Guard::None);
    lazy[0] = Guard::Sink;
    lazy[10] = lazy[11] = Guard::Recent;
    EXPECT_EQ(guards("simlayerkv:n_initial=1,n_recent=3,threshold=0.384"), lazy);
    EXPECT_EQ(guards("simlayerkv:n_initial=1,n_recent=3,threshold=0.386"), std::vector<Guard>(12, Guard::Layer));
}

TEST(SimLayerKv, RefusesFewerRecentTokensThanQueries)
{
    EXPECT_THROW(parseMethod("simlayerkv:n_recent=4,n_last=4"), MethodError);
    EXPECT_NO_THROW(parseMethod("simlayerkv:n_recent=5,n_last=4"));
    EXPECT_THROW(parseMethod("simlayerkv:threshold=1.1"), MethodError);
}

TEST(SimLayerKv, KnowsTheThresholdsOfModels)
{
    EXPECT_EQ(parseMethod("simlayerkv").parameters.at("threshold"), "0.9");
    EXPECT_EQ(parseMethod("simlayerkv@mistral").parameters.at("threshold"), "0.8");
    EXPECT_EQ(parseMethod("simlayerkv@kvpress").parameters.at("threshold"), "1");
}

TEST(SimLayerKv, IsLazyWhereTheRuleIsInRandomCases)
{
    Dice dice(41);
    int lazyCases = 0;
    for (int i = 0; i < cases; ++i) {
        const Case given = randomCase(dice);
        const std::int64_t initial = dice.oneOf<std::int64_t>({0, 1, 4, 30});
        const std::int64_t recent = dice.oneOf<std::int64_t>({4, 5, 12, 60});
        const std::int64_t last = dice.between(1, 3);
        const std::int64_t threshold = dice.between(0, 101); // in 1/101, so that no sum of shares comes close to it
        const std::string spec = "simlayerkv:n_initial=" + std::to_string(initial)
            + ",n_recent=" + std::to_string(recent) + ",n_last=" + std::to_string(last)
            + ",threshold=" + std::to_string(static_cast<double>(threshold) / 101.0);

        std::int64_t sum = 0;
        for (const auto& rows : given.rows)
            for (std::int64_t query = std::max<std::int64_t>(0, given.tokens - last); query < given.tokens; ++query)
                for (std::int64_t key = 0; key < given.tokens - last; ++key)
                    if (key < initial || key >= given.tokens - last - recent)
                        sum += rows[static_cast<std::size_t>(query)][static_cast<std::size_t>(key)];
        if (sum * 101 == threshold * 64 * last * given.queryHeads()) {
            --i; // as printed, the threshold lies on either side
            continue;
        }
        const bool lazy = given.tokens > initial + recent + last && threshold < 101
            && sum * 101 > threshold * 64 * last * given.queryHeads();
        lazyCases += lazy ? 1 : 0;
        std::vector<std::int32_t> set;
        for (std::int64_t token = 0; token < given.tokens; ++token)
            if (!lazy || token < initial || token >= given.tokens - recent + last)
                set.push_back(static_cast<std::int32_t>(token));
        ASSERT_EQ(
            keptByCore(spec, given, randomBudget(dice).budget), Sets(static_cast<std::size_t>(given.kvHeads), set))
            << "case " << i << ": " << spec << " of " << given.tokens;
    }
    EXPECT_GT(lazyCases, cases / 10);
    EXPECT_LT(lazyCases, cases - cases / 10);
}

} // namespace
} // namespace kvloupe
