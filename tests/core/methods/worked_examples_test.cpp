// SPDX-License-Identifier: GPL-3.0-or-later

// The worked examples of docs/methods.md, number for number. Maps are in percent.

#include "core/methods/method_registry.h"
#include "tests/core/methods/worked_example.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kvloupe {
namespace {

using namespace worked_example;
using testing::ElementsAre;
using testing::FloatNear;
using testing::Pointwise;

TEST(WorkedExample, StreamingLlmOfKvpressKeepsFourSinksAndTheRest)
{
    EXPECT_THAT(kept("streaming_llm@kvpress", head0, Budget::compressionRatio("0.5")), ElementsAre(0, 1, 2, 3, 10, 11));
    EXPECT_THAT(kept("streaming_llm@kvcf", head0, Budget::capacity(6)), ElementsAre(0, 1, 2, 3, 10, 11));
}

TEST(WorkedExample, StreamingLlmKeepsTheNewestBeforeTheSinksWhenTheBudgetIsTiny)
{
    EXPECT_THAT(kept("streaming_llm@kvpress", head0, Budget::compressionRatio("0.75")), ElementsAre(0, 1, 11));
    EXPECT_THAT(kept("streaming_llm", head0, Budget::capacity(1)), ElementsAre(11));
    EXPECT_THAT(kept("streaming_llm", head0, Budget::capacity(4)), ElementsAre(0, 1, 2, 3));
}

TEST(WorkedExample, H2oSumsColumnsOverAllQueries)
{
    EXPECT_THAT(scoresOf("h2o", head0).values, ElementsAre(475, 100, 144, 68, 149, 52, 38, 71, 42, 28, 23, 10));
    EXPECT_THAT(scoresOf("h2o", head1).values, ElementsAre(365, 109, 81, 121, 85, 214, 55, 51, 47, 34, 28, 10));
    EXPECT_THAT(
        scoresOf("h2o", group).values, ElementsAre(420, 104.5, 112.5, 94.5, 117, 133, 46.5, 61, 44.5, 31, 25.5, 10));
}

TEST(WorkedExample, H2oOfKvCacheFactoryKeepsHeavyHittersAndAFixedWindow)
{
    const Budget six = Budget::capacity(6);
    EXPECT_THAT(kept("h2o@kvcf:recent=2", head0, six), ElementsAre(0, 1, 2, 4, 10, 11));
    EXPECT_THAT(kept("h2o@kvcf:recent=2", head1, six), ElementsAre(0, 1, 3, 5, 10, 11));
    EXPECT_THAT(kept("h2o@kvcf:recent=2", group, six), ElementsAre(0, 2, 4, 5, 10, 11));
    EXPECT_THAT(kept("h2o@kvcf", group, six), ElementsAre(6, 7, 8, 9, 10, 11)) << "the window of 8 fills the budget";
}

TEST(WorkedExample, H2oKeepsHalfOfTheBudgetRecent)
{
    EXPECT_THAT(kept("h2o", head0, Budget::keep("0.5")), ElementsAre(0, 2, 4, 9, 10, 11));
    EXPECT_THAT(kept("h2o", head0, Budget::capacity(5)), ElementsAre(0, 2, 4, 10, 11)) << "floor(5 / 2) recent";
    EXPECT_THAT(kept("h2o", head0, Budget::capacity(1)), ElementsAre(0)) << "floor(1 / 2) recent";
}

TEST(WorkedExample, SnapKvSumsTheWindowAndPools)
{
    const auto near = [](const Scores& scores, const std::vector<float>& expected) {
        const std::vector<float> ranked(scores.values.begin(), scores.values.begin() + 9);
        EXPECT_THAT(ranked, Pointwise(FloatNear(6e-5F), expected));
    };
    near(scoresOf("snapkv:window=3,kernel=1", head0), {65, 5, 19, 13, 49, 12, 8, 41, 27});
    near(scoresOf("snapkv:window=3,kernel=1", head1), {40, 3, 12, 26, 15, 69, 15, 21, 27});
    near(scoresOf("snapkv:window=3,kernel=3,pool=avg", head0),
        {23.3333F, 29.6667F, 12.3333F, 27, 24.6667F, 23, 20.3333F, 25.3333F, 22.6667F});
    near(scoresOf("snapkv:window=3,kernel=3,pool=avg", head1),
        {14.3333F, 18.3333F, 13.6667F, 17.6667F, 36.6667F, 33, 35, 21, 16});
    near(scoresOf("snapkv:window=3,kernel=3", head0), {65, 65, 19, 49, 49, 49, 41, 41, 41});
    near(scoresOf("snapkv:window=3,kernel=3", head1), {40, 40, 26, 26, 69, 69, 69, 27, 27});
    near(scoresOf("snapkv:window=3,kernel=3,gqa_stage=before_pool", group),
        {52.5F, 52.5F, 19.5F, 32, 40.5F, 40.5F, 40.5F, 31, 31});
    near(scoresOf("snapkv:window=3,kernel=3,gqa_stage=after_pool", group),
        {52.5F, 52.5F, 22.5F, 37.5F, 59, 59, 55, 34, 34});
    // kvpress takes the mean over the window: a third of the sum, the same ranking.
    near(scoresOf("snapkv@kvpress:window=3,kernel=3", group),
        {6.277778F, 8.0F, 4.333333F, 7.444444F, 10.222222F, 9.333333F, 9.222222F, 7.722222F, 6.444444F});
}

TEST(WorkedExample, SnapKvKeepsThreeHeavyTokensAndItsWindow)
{
    const Budget six = Budget::capacity(6);
    EXPECT_THAT(kept("snapkv:window=3,kernel=3,pool=avg", head0, six), ElementsAre(1, 3, 7, 9, 10, 11));
    EXPECT_THAT(kept("snapkv:window=3,kernel=3,pool=avg", head1, six), ElementsAre(4, 5, 6, 9, 10, 11));
    EXPECT_THAT(kept("snapkv:window=3,kernel=3", head0, six), ElementsAre(0, 1, 3, 9, 10, 11));
    EXPECT_THAT(kept("snapkv:window=3,kernel=3", head1, six), ElementsAre(4, 5, 6, 9, 10, 11));
    EXPECT_THAT(kept("snapkv:window=3,kernel=1", head0, six), ElementsAre(0, 4, 7, 9, 10, 11));
    EXPECT_THAT(kept("snapkv:window=3,kernel=1", head1, six), ElementsAre(0, 5, 8, 9, 10, 11));
    EXPECT_THAT(kept("snapkv@kvpress:window=3,kernel=3", group, six), ElementsAre(4, 5, 6, 9, 10, 11));
}

TEST(WorkedExample, TheStageOfTheGroupReductionChangesWhatMaximumPoolingKeeps)
{
    const Budget six = Budget::capacity(6);
    EXPECT_THAT(kept("snapkv:window=3,kernel=3,gqa_stage=before_pool", group, six), ElementsAre(0, 1, 4, 9, 10, 11));
    EXPECT_THAT(kept("snapkv:window=3,kernel=3,gqa_stage=after_pool", group, six), ElementsAre(4, 5, 6, 9, 10, 11));
}

TEST(WorkedExample, SnapKvKeepsTheNewestTokensWhenTheBudgetIsSmallerThanTheWindow)
{
    EXPECT_THAT(kept("snapkv:window=3,kernel=3", head0, Budget::capacity(2)), ElementsAre(10, 11));
    EXPECT_THAT(kept("snapkv", head0, Budget::capacity(5)), ElementsAre(7, 8, 9, 10, 11)) << "window 32 of 12 tokens";
}

TEST(WorkedExample, FullKeepsEverythingWhateverTheBudget)
{
    EXPECT_THAT(kept("full", head0, Budget::capacity(1)), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11));
}

} // namespace
} // namespace kvloupe
