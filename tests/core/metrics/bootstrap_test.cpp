// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/metrics/bootstrap.h"

#include "core/methods/random.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <tbb/global_control.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

namespace kvloupe {
namespace {

using Series = std::vector<std::vector<double>>;

constexpr double missing = std::numeric_limits<double>::quiet_NaN();

std::vector<double> gaussians(int count, double mean, double deviation, unsigned seed)
{
    std::mt19937 random(seed);
    std::normal_distribution<double> distribution(mean, deviation);
    std::vector<double> values(static_cast<std::size_t>(count));
    std::ranges::generate(values, [&] { return distribution(random); });
    return values;
}

TEST(Bootstrap, AgreesWithASlowTranscription)
{
    const std::vector<double> values = gaussians(15, 1.0, 2.0, 1); // 5 samples of 3 heads
    BootstrapOptions options;
    options.resamples = 40;
    options.seed = 9;
    std::vector<double> means;
    const auto drawn = [](std::uint64_t resample, std::uint64_t sample, std::uint64_t head, int count) {
        return static_cast<int>(static_cast<double>(randomScore(9, resample, sample, head)) * count);
    };
    for (std::uint64_t resample = 0; resample < 40; ++resample) {
        double sum = 0.0;
        for (std::uint64_t s = 0; s < 5; ++s) {
            const int sample = drawn(resample, s, 0, 5);
            for (std::uint64_t h = 0; h < 3; ++h)
                sum += values[static_cast<std::size_t>(sample * 3 + drawn(resample, s, h + 1, 3))];
        }
        means.push_back(sum / 15.0);
    }
    std::ranges::sort(means);
    const auto result = bootstrapMeans(Series{values}, 5, 3, options);
    ASSERT_EQ(result.size(), 1U);
    double mean = 0.0;
    for (const double value : values)
        mean += value / 15.0;
    EXPECT_NEAR(result[0].mean, mean, 1e-12);
    // 2.5 % of 39 steps is 0.975 steps from the smallest.
    EXPECT_NEAR(result[0].low, means[0] + 0.975 * (means[1] - means[0]), 1e-12);
    EXPECT_NEAR(result[0].high, means[38] + 0.025 * (means[39] - means[38]), 1e-12);
}

TEST(Bootstrap, DependsOnTheSeedAloneNotOnThreadsOrCompany)
{
    const std::vector<double> a = gaussians(40, 0.0, 1.0, 2);
    const std::vector<double> b = gaussians(40, 5.0, 1.0, 3);
    const auto both = bootstrapMeans(Series{a, b}, 10, 4);
    const tbb::global_control one(tbb::global_control::max_allowed_parallelism, 1);
    const auto alone = bootstrapMeans(Series{b}, 10, 4);
    EXPECT_EQ(both[1].low, alone[0].low);
    EXPECT_EQ(both[1].high, alone[0].high);
    BootstrapOptions other;
    other.seed = 1;
    EXPECT_NE(bootstrapMeans(Series{b}, 10, 4, other)[0].low, alone[0].low);
}

TEST(Bootstrap, HasTheWidthThatTheoryGivesIt)
{
    // 400 independent samples of one head: standard error 1 / 20, so the interval is 2 * 1.96 / 20 wide.
    const auto result = bootstrapMeans(Series{gaussians(400, 3.0, 1.0, 4)}, 400, 1);
    EXPECT_NEAR(result[0].high - result[0].low, 0.196, 0.03);
    EXPECT_LT(result[0].low, result[0].mean);
    EXPECT_GT(result[0].high, result[0].mean);
}

TEST(Bootstrap, SeesSamplesThatDifferAsAWhole)
{
    // Heads of a sample are alike: 100 heads are worth one value, and treating all as independent would be too sure.
    std::vector<double> values;
    for (const double level : gaussians(20, 0.0, 1.0, 5))
        values.insert(values.end(), 100, level);
    const auto clustered = bootstrapMeans(Series{values}, 20, 100)[0];
    const auto independent = bootstrapMeans(Series{values}, 1, 2000)[0];
    EXPECT_GT(clustered.high - clustered.low, 5.0 * (independent.high - independent.low));
}

TEST(Bootstrap, LeavesMissingValuesOut)
{
    const auto result = bootstrapMeans(Series{{2, missing, 2, 2}, {missing, missing, missing, missing}}, 2, 2);
    EXPECT_EQ(result[0].mean, 2.0);
    EXPECT_EQ(result[0].low, 2.0);
    EXPECT_EQ(result[0].high, 2.0);
    EXPECT_TRUE(std::isnan(result[1].mean));
    EXPECT_TRUE(std::isnan(result[1].high));
}

} // namespace
} // namespace kvloupe
