// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/methods/chooser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>

namespace kvloupe {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr float inf = std::numeric_limits<float>::infinity();
const float nan = std::nanf("");

/// The rule as a person would apply it: write all tokens in the order they would be taken, take the first ones.
std::vector<std::int32_t> takenInOrder(
    const std::vector<float>& scores, std::int64_t count, const Protection& protection)
{
    const auto tokens = static_cast<std::int64_t>(scores.size());
    const auto isSink = [&](std::int64_t i) { return i < protection.sinks; };
    const auto isRecent = [&](std::int64_t i) { return i >= tokens - protection.recent; };
    std::vector<std::int64_t> order;
    const auto take = [&](std::int64_t i) {
        if (std::find(order.begin(), order.end(), i) == order.end())
            order.push_back(i);
    };
    if (protection.recent > 0 && tokens > 0)
        take(tokens - 1);
    for (std::int64_t i = 0; i < tokens; ++i)
        if (isSink(i))
            take(i);
    for (std::int64_t i = tokens - 1; i >= 0; --i)
        if (isRecent(i))
            take(i);
    std::vector<std::int64_t> rest(scores.size());
    std::iota(rest.begin(), rest.end(), 0);
    const auto rank = [&](std::int64_t i) {
        const float score = scores[static_cast<std::size_t>(i)];
        return std::isnan(score) ? -inf : score;
    };
    std::stable_sort(rest.begin(), rest.end(), [&](std::int64_t a, std::int64_t b) { return rank(a) > rank(b); });
    for (const std::int64_t i : rest)
        take(i);
    order.resize(static_cast<std::size_t>(std::clamp<std::int64_t>(count, 0, tokens)));
    std::sort(order.begin(), order.end());
    return {order.begin(), order.end()};
}

TEST(SelectTop, PrefersTheSmallerIndexAmongEqualScores)
{
    const std::vector<float> scores{1, 3, 2, 3, 2, 2};
    EXPECT_THAT(selectTop(scores, 1, {}), ElementsAre(1));
    EXPECT_THAT(selectTop(scores, 2, {}), ElementsAre(1, 3));
    EXPECT_THAT(selectTop(scores, 3, {}), ElementsAre(1, 2, 3));
    EXPECT_THAT(selectTop(scores, 4, {}), ElementsAre(1, 2, 3, 4));
}

TEST(SelectTop, RanksNanWithMinusInfinityAndTheTwoZerosAlike)
{
    EXPECT_THAT(selectTop(std::vector<float>{nan, -inf, -1, nan}, 2, {}), ElementsAre(0, 2));
    EXPECT_THAT(selectTop(std::vector<float>{-inf, nan, -1}, 2, {}), ElementsAre(0, 2));
    EXPECT_THAT(selectTop(std::vector<float>{-0.0F, 0.0F, -0.0F}, 2, {}), ElementsAre(0, 1));
    EXPECT_THAT(selectTop(std::vector<float>{-1e-45F, -0.0F, 1e-45F}, 2, {}), ElementsAre(1, 2));
    EXPECT_THAT(selectTop(std::vector<float>{1, inf, nan, 2}, 2, {}), ElementsAre(1, 3));
}

TEST(SelectTop, TakesTheNewestOfAWindowThatDoesNotFit)
{
    const std::vector<float> scores(6, 1.0F);
    EXPECT_THAT(selectTop(scores, 2, {0, 4}), ElementsAre(4, 5));
    EXPECT_THAT(selectTop(scores, 2, {0, 100}), ElementsAre(4, 5));
}

TEST(SelectTop, TakesTheOldestSinksWhenTheyDoNotFit)
{
    const std::vector<float> scores(6, 1.0F);
    EXPECT_THAT(selectTop(scores, 2, {4, 0}), ElementsAre(0, 1));
}

TEST(SelectTop, TakesOneNewestThenSinksThenTheRestOfTheWindow)
{
    const std::vector<float> scores{0, 0, 0, 9, 9, 0, 0, 0};
    EXPECT_THAT(selectTop(scores, 1, {3, 2}), ElementsAre(7));
    EXPECT_THAT(selectTop(scores, 3, {3, 2}), ElementsAre(0, 1, 7));
    EXPECT_THAT(selectTop(scores, 4, {3, 2}), ElementsAre(0, 1, 2, 7));
    EXPECT_THAT(selectTop(scores, 5, {3, 2}), ElementsAre(0, 1, 2, 6, 7));
    EXPECT_THAT(selectTop(scores, 6, {3, 2}), ElementsAre(0, 1, 2, 3, 6, 7));
}

TEST(SelectTop, CopesWithNothingToChooseFrom)
{
    EXPECT_THAT(selectTop({}, 3, {4, 4}), IsEmpty());
    EXPECT_THAT(selectTop(std::vector<float>{1}, 0, {1, 1}), IsEmpty());
    EXPECT_THAT(selectTop(std::vector<float>{1}, -5, {}), IsEmpty());
    EXPECT_THAT(selectTop(std::vector<float>{nan}, 5, {}), ElementsAre(0));
}

TEST(SelectTop, DoesWhatWritingTheOrderDownDoes)
{
    std::mt19937 random(7);
    const std::vector<float> special{0.0F, -0.0F, inf, -inf, nan, 1e-45F, -1e-45F, 3.0e38F};
    for (int repeat = 0; repeat < 20'000; ++repeat) {
        std::vector<float> scores(random() % 90);
        const bool fewLevels = random() % 2 == 0;
        for (float& score : scores) {
            score = fewLevels ? static_cast<float>(random() % 4) - 1.0F : static_cast<float>(random()) * 0x1p-32F;
            if (random() % 8 == 0)
                score = special[random() % special.size()];
        }
        const Protection protection{static_cast<std::int64_t>(random() % 3 == 0 ? 0 : random() % 12),
            static_cast<std::int64_t>(random() % 3 == 0 ? 0 : random() % 40)};
        const auto count = static_cast<std::int64_t>(random() % 100);
        ASSERT_EQ(selectTop(scores, count, protection), takenInOrder(scores, count, protection))
            << "repeat " << repeat << ", " << scores.size() << " tokens, " << count << " kept, " << protection.sinks
            << " sinks, " << protection.recent << " recent";
    }
}

TEST(SelectTop, GrowsWithTheBudgetAndNeverSwaps)
{
    std::mt19937 random(11);
    for (int repeat = 0; repeat < 200; ++repeat) {
        std::vector<float> scores(1 + random() % 300);
        for (float& score : scores)
            score = static_cast<float>(random() % 20);
        const Protection protection{static_cast<std::int64_t>(random() % 5), static_cast<std::int64_t>(random() % 20)};
        std::vector<std::int32_t> smaller;
        for (std::int64_t count = 1; count <= static_cast<std::int64_t>(scores.size()); ++count) {
            const auto larger = selectTop(scores, count, protection);
            ASSERT_EQ(larger.size(), static_cast<std::size_t>(count));
            ASSERT_TRUE(std::includes(larger.begin(), larger.end(), smaller.begin(), smaller.end()));
            ASSERT_TRUE(std::adjacent_find(larger.begin(), larger.end(), std::greater_equal<>()) == larger.end());
            smaller = larger;
        }
    }
}

TEST(SelectTop, ChoosesAmongManyTokensOfOneBucket)
{
    // Scores that differ in their last bits only, as those of a diffuse head do.
    std::mt19937 random(13);
    std::vector<float> scores(5000);
    for (float& score : scores)
        score = 0.001F * (1.0F + static_cast<float>(random() % 50) * 0x1p-23F);
    for (const std::int64_t count : {1, 17, 2500, 4990, 4999, 5000})
        EXPECT_EQ(selectTop(scores, count, {4, 32}), takenInOrder(scores, count, {4, 32})) << count;
}

} // namespace
} // namespace kvloupe
