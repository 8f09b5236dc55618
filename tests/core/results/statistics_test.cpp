// SPDX-License-Identifier: GPL-3.0-or-later
//
// Expected values are those of statsmodels 0.15.0 and scipy 1.17.1:
//   from statsmodels.stats.proportion import proportion_confint
//   proportion_confint(k, n, method="wilson")
//   from statsmodels.stats.contingency_tables import mcnemar
//   mcnemar([[50, b], [c, 50]], exact=b + c < 25, correction=True).pvalue
//   from statsmodels.stats.multitest import multipletests
//   multipletests(p, method="holm")[1]

#include "core/results/statistics.h"

#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kvloupe {
namespace {

using ::testing::DoubleEq;
using ::testing::DoubleNear;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(Statistics, WilsonIntervalsAreThoseOfStatsmodels)
{
    struct Case {
        double successes;
        std::int64_t trials;
        double low;
        double high;
    };
    constexpr Case cases[]{{0, 10, 0, 0.277532799862889}, {10, 10, 0.722467200137111, 1},
        {3, 20, 0.0523687458962166, 0.360418864740757}, {45, 60, 0.627679299229522, 0.842234774699433},
        {1048, 1319, 0.771896373217697, 0.815475601571097}, {84, 164, 0.436295042032306, 0.587536971989171},
        {7.5, 12, 0.354369013466253, 0.835007484869937}};
    for (const Case& one : cases) {
        const Interval interval = wilsonInterval(one.successes, one.trials);
        EXPECT_NEAR(interval.low, one.low, 1e-12) << one.successes << " of " << one.trials;
        EXPECT_NEAR(interval.high, one.high, 1e-12) << one.successes << " of " << one.trials;
    }
    EXPECT_TRUE(std::isnan(wilsonInterval(0, 0).low));
}

TEST(Statistics, McNemarIsThatOfStatsmodelsExactBelow25PairsAndCorrectedFromThereOn)
{
    struct Case {
        std::int64_t lost;
        std::int64_t gained;
        PairedTest test;
        double p;
    };
    constexpr Case cases[]{{0, 1, PairedTest::Exact, 1}, {5, 1, PairedTest::Exact, 0.21875},
        {9, 2, PairedTest::Exact, 0.0654296875}, {0, 10, PairedTest::Exact, 0.001953125},
        {12, 12, PairedTest::Exact, 1}, {14, 10, PairedTest::Exact, 0.541256189346313},
        {20, 4, PairedTest::Exact, 0.00154387950897217}, {15, 10, PairedTest::Corrected, 0.423710797166794},
        {25, 10, PairedTest::Corrected, 0.0179604775260788}, {13, 12, PairedTest::Corrected, 1},
        {400, 30, PairedTest::Corrected, 7.75989304266844e-71}};
    for (const Case& one : cases) {
        const McNemar result = mcnemarTest(one.lost, one.gained);
        EXPECT_NEAR(result.p / one.p, 1.0, 1e-12) << one.lost << " lost, " << one.gained << " gained";
        EXPECT_EQ(result.test, one.test) << one.lost << " lost, " << one.gained << " gained";
        EXPECT_EQ(mcnemarTest(one.gained, one.lost).p, result.p);
    }
    EXPECT_EQ(mcnemarTest(0, 0).p, 1.0);
}

TEST(Statistics, HolmsCorrectionIsThatOfStatsmodels)
{
    const auto near = [](double value) { return DoubleNear(value, 1e-14); };
    EXPECT_THAT(holmCorrected(std::vector{0.01, 0.04, 0.03, 0.005}),
        ElementsAre(near(0.03), near(0.06), near(0.06), near(0.02)));
    EXPECT_THAT(holmCorrected(std::vector{0.6, 0.2, 0.9, 0.02, 0.02}),
        ElementsAre(near(1.0), near(0.6), near(1.0), near(0.1), near(0.1)));
    EXPECT_THAT(holmCorrected(std::vector{0.05}), ElementsAre(near(0.05)));
    EXPECT_THAT(holmCorrected(std::vector<double>{}), IsEmpty());
}

TEST(Statistics, TheRelativeDropIsThatOfThePaper)
{
    // GSM8K with 8 shots at 10 % kept, mean of five methods: 0.7945 to 0.5143, printed as -35.3 %.
    EXPECT_NEAR(relativeDrop(0.5143, 0.7945), -0.353, 0.0005);
    EXPECT_THAT(relativeDrop(0.5, 0.5), DoubleEq(0.0));
    EXPECT_TRUE(std::isnan(relativeDrop(0.1, 0.0)));
}

} // namespace
} // namespace kvloupe
