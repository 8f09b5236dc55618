// SPDX-License-Identifier: GPL-3.0-or-later

// Measures of attention rows and column sums. Numbers marked "numpy" were computed by numpy 2 in float64 from the same
// arrays: Gini as sum((2 i - n - 1) p) / (n sum p), curves by interp, areas by trapezoid, quantiles by quantile.

#include "core/metrics/cumulative_attention.h"
#include "core/metrics/distribution.h"
#include "core/metrics/representation_error.h"
#include "core/metrics/retained_mass.h"
#include "core/metrics/row_sparsity.h"
#include "tests/core/methods/worked_maps.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <random>

namespace kvloupe {
namespace {

using testing::ElementsAre;

/// The worked map as probabilities.
std::vector<std::vector<float>> rows()
{
    auto map = workedHead0();
    for (auto& row : map)
        for (float& cell : row)
            cell /= 100.0F;
    return map;
}

std::vector<float> columnSums()
{
    std::vector<float> sums(12);
    for (const auto& row : rows())
        for (std::size_t key = 0; key < row.size(); ++key)
            sums[key] += row[key];
    return sums;
}

std::vector<float> randomRow(std::mt19937& random, std::size_t tokens)
{
    std::vector<float> row(tokens);
    float sum = 0.0F;
    for (float& cell : row)
        sum += cell = std::exp(std::normal_distribution<float>(0.0F, 2.0F)(random));
    for (float& cell : row)
        cell /= sum;
    return row;
}

TEST(RowSparsity, AgreesWithNumpyOnAWorkedRow)
{
    const RowSparsity row = rowSparsity(rows().at(11));
    EXPECT_NEAR(row.entropy, 2.2524919854192746, 1e-7); // numpy
    EXPECT_NEAR(row.effectiveKeys, 9.511408619589336, 1e-6); // numpy
    EXPECT_NEAR(row.gini, 0.37833333333333335, 1e-7); // numpy
    EXPECT_NEAR(row.topMass[0], 0.20, 1e-7);
    EXPECT_NEAR(row.topMass[1], 0.89, 1e-7); // 20 16 15 10 9 8 6 5
    EXPECT_NEAR(row.topMass[2], 1.0, 1e-7);
    EXPECT_NEAR(row.sinkMass, 0.30, 1e-7); // 20 1 5 4
    EXPECT_NEAR(row.maximum, 0.20, 1e-7);
}

TEST(RowSparsity, AgreesWithPairwiseGiniOnRandomRows)
{
    std::mt19937 random(3);
    for (int trial = 0; trial < 100; ++trial) {
        const auto row = randomRow(random, 1 + random() % 40);
        double differences = 0.0;
        double sum = 0.0;
        for (const float a : row) {
            sum += static_cast<double>(a);
            for (const float b : row)
                differences += std::abs(static_cast<double>(a) - static_cast<double>(b));
        }
        const auto count = static_cast<double>(row.size());
        EXPECT_NEAR(rowSparsity(row).gini, differences / (2.0 * count * sum), 1e-6);
    }
}

TEST(RowSparsity, KnowsEvenRowsAndSpikes)
{
    for (const std::size_t tokens : {1, 2, 7, 64, 100}) {
        const std::vector<float> even(tokens, 1.0F / static_cast<float>(tokens));
        const RowSparsity row = rowSparsity(even);
        EXPECT_NEAR(row.effectiveKeys, static_cast<double>(tokens), 1e-3);
        EXPECT_NEAR(row.gini, 0.0, 1e-6);
        EXPECT_NEAR(row.topMass[1], std::min(1.0, 8.0 / static_cast<double>(tokens)), 1e-5);

        std::vector<float> spike(tokens, 0.0F);
        spike.back() = 1.0F;
        const RowSparsity one = rowSparsity(spike);
        EXPECT_EQ(one.effectiveKeys, 1.0);
        EXPECT_NEAR(one.gini, 1.0 - 1.0 / static_cast<double>(tokens), 1e-6);
        EXPECT_EQ(one.sinkMass, tokens <= 4 ? 1.0 : 0.0);
    }
}

TEST(RowSparsity, CountsSinksByPositionNotByColumn)
{
    const std::vector<float> cells{0.5F, 0.25F, 0.125F, 0.125F};
    EXPECT_EQ(rowSparsity(cells, 2).sinkMass, 0.75);
    EXPECT_EQ(rowSparsity(cells, 4).sinkMass, 0.0);
}

TEST(SparsitySeries, AveragesOverRowsAndLeavesTheUnknownUnknown)
{
    SparsitySeries series;
    double entropy = 0.0;
    double effective = 0.0;
    for (const auto& cells : rows()) {
        const RowSparsity row = rowSparsity(cells);
        series.entropy.push_back(static_cast<float>(row.entropy));
        series.gini.push_back(static_cast<float>(row.gini));
        entropy += row.entropy / 12.0;
        effective += row.effectiveKeys / 12.0;
    }
    const RowSparsity mean = series.mean(0, 12);
    EXPECT_NEAR(mean.entropy, 1.5048864171290066, 1e-6); // numpy
    EXPECT_NEAR(mean.effectiveKeys, 5.327422138452458, 1e-5); // numpy: mean of exp, not exp of mean
    EXPECT_GT(mean.effectiveKeys, std::exp(mean.entropy) + 0.1);
    EXPECT_NEAR(mean.gini, 0.2818809523809524, 1e-6); // numpy
    EXPECT_TRUE(std::isnan(mean.topMass[1]));
    EXPECT_TRUE(std::isnan(mean.sinkMass));
    EXPECT_NEAR(series.mean(3, 4).entropy, rowSparsity(rows()[3]).entropy, 1e-6);
    EXPECT_TRUE(std::isnan(series.mean(2, 2).entropy));
}

TEST(CumulativeAttention, AgreesWithNumpyOnTheWorkedMap)
{
    const CumulativeAttention all(columnSums());
    EXPECT_EQ(all.tokens(), 12);
    const std::vector<std::pair<double, double>> curve{
        {0.1, 0.42066667}, {0.25, 0.64}, {0.5, 0.83916667}, {0.9, 0.98783333}};
    for (const auto& [share, mass] : curve)
        EXPECT_NEAR(all.massOfTop(share), mass, 1e-7) << share; // numpy
    EXPECT_NEAR(all.area(), 0.759513888888889, 1e-7); // numpy
    const std::vector<std::pair<double, double>> holding{
        {0.5, 0.15324384787472034}, {0.8, 0.4424019607843135}, {0.9, 0.6249999999999997}, {0.95, 0.7529761904761898}};
    for (const auto& [mass, share] : holding)
        EXPECT_NEAR(all.tokensHolding(mass), share, 1e-6) << mass; // numpy
}

TEST(CumulativeAttention, LeavesTheSinksOutAndNormalisesTheRest)
{
    const CumulativeAttention rest(columnSums(), 4);
    EXPECT_EQ(rest.tokens(), 8);
    EXPECT_NEAR(rest.massOfTop(0.1), 0.28861985, 1e-7); // numpy
    EXPECT_NEAR(rest.massOfTop(0.5), 0.76029056, 1e-7); // numpy
    EXPECT_EQ(rest.massOfTop(1.0), 1.0);
    EXPECT_NEAR(rest.area(), 0.6950665859564165, 1e-7); // numpy
    EXPECT_NEAR(rest.tokensHolding(0.9), 0.7129464285714288, 1e-6); // numpy
}

TEST(CumulativeAttention, IsInvertedByTokensHoldingAndItsAreaIsGini)
{
    std::mt19937 random(5);
    for (int trial = 0; trial < 200; ++trial) {
        const auto received = randomRow(random, 1 + random() % 60);
        const CumulativeAttention curve(received);
        EXPECT_EQ(curve.massOfTop(0.0), 0.0);
        EXPECT_EQ(curve.massOfTop(1.0), 1.0);
        double before = 0.0;
        for (double share = 0.05; share <= 1.0; share += 0.05) {
            const double mass = curve.massOfTop(share);
            EXPECT_GE(mass, before);
            EXPECT_GE(mass, share - 1e-9) << "the most attended hold at least their share";
            EXPECT_NEAR(curve.tokensHolding(mass), share, 1e-6);
            before = mass;
        }
        EXPECT_NEAR(curve.area(), (1.0 + rowSparsity(received).gini) / 2.0, 1e-6);
    }
}

TEST(CumulativeAttention, IsUnknownWithoutAttention)
{
    EXPECT_TRUE(std::isnan(CumulativeAttention(std::vector<float>{0, 0, 0}).massOfTop(0.5)));
    EXPECT_TRUE(std::isnan(CumulativeAttention(std::vector<float>{1, 2, 3}, 4).tokensHolding(0.5)));
    EXPECT_TRUE(std::isnan(CumulativeAttention(std::vector<float>{1, 2, 3}, 3).area()));
}

TEST(Distribution, TakesQuantilesAsNumpyDoes)
{
    const Distribution values = distributionOf({3, 1, 4, 1, 5, 9, 2, 6, 5, 3.5});
    EXPECT_EQ(values.count, 10);
    EXPECT_NEAR(values.mean, 3.95, 1e-12); // numpy
    EXPECT_NEAR(values.percentile5, 1.0, 1e-12); // numpy
    EXPECT_NEAR(values.median, 3.75, 1e-12); // numpy
    const std::vector<double> ascending{1, 1, 2, 3, 3.5, 4, 5, 5, 6, 9};
    EXPECT_NEAR(quantile(ascending, 0.3), 2.7, 1e-12); // numpy
    EXPECT_EQ(quantile(ascending, 1.0), 9.0);
    EXPECT_TRUE(std::isnan(distributionOf({}).median));
    EXPECT_EQ(distributionOf({7}).percentile5, 7.0);
}

TEST(RetainedMass, IsTheSumOverTheKeptTokens)
{
    const auto row = rows().at(11);
    EXPECT_NEAR(retainedMass(row, 0, std::vector<std::int32_t>{0, 4, 7}), 0.51, 1e-7);
    EXPECT_EQ(retainedMass(row, 0, {}), 0.0);
    std::vector<std::int32_t> everything(12);
    std::iota(everything.begin(), everything.end(), 0);
    EXPECT_EQ(retainedMass(row, 0, everything), 1.0);
    EXPECT_EQ(retainedMass(std::vector<float>{0.25F, 0.25F, 0.25F}, 9, std::vector<std::int32_t>{9, 10, 11}), 1.0)
        << "of what the row holds";
    EXPECT_NEAR(
        retainedMass(std::vector<float>{0.25F, 0.5F, 0.25F}, 9, std::vector<std::int32_t>{3, 10, 40}), 0.5, 1e-12);
}

TEST(RetainedMass, FollowsTheCacheWhileDecoding)
{
    // Three prompt tokens, of which 1 was cut; token 2 leaves after the second generated token.
    HeadTimeline timeline;
    timeline.evictedAt = {-1, 0, 2, -1, -1, -1};
    const std::vector<float> row{0.4F, 0.2F, 0.1F, 0.1F, 0.1F, 0.1F};
    EXPECT_NEAR(retainedMassWhileDecoding(std::span(row).first(4), timeline, 0), 0.6 / 0.8, 1e-7);
    EXPECT_NEAR(retainedMassWhileDecoding(std::span(row).first(5), timeline, 1), 0.7 / 0.9, 1e-7);
    EXPECT_NEAR(retainedMassWhileDecoding(row, timeline, 2), 0.7, 1e-7) << "evicted after token 2, unseen by query 2";
    timeline.visible = {{{0, 1}, {3, 4}}, {{2, 5}}, {{0, 6}}};
    EXPECT_NEAR(retainedMassWhileDecoding(std::span(row).first(4), timeline, 0), 0.5 / 0.8, 1e-7)
        << "the rest is hidden";
    EXPECT_NEAR(retainedMassWhileDecoding(row, timeline, 2), 1.0, 1e-7);
    timeline.visible.clear();
    timeline.evictedAt.assign(6, -1);
    EXPECT_EQ(retainedMassWhileDecoding(row, timeline, 2), 1.0);
}

const std::vector<float> errorRow{0.5F, 0.2F, 0.1F, 0.15F, 0.05F};
const std::vector<float> errorValues{1, 2, -1, 0, 1, 0.5F, -2, 0.25F, 1, 3, -1, 0, 0.5F, 0.5F, 0.5F};

TEST(RepresentationError, AgreesWithNumpy)
{
    const auto full = attentionOutput(errorRow, errorValues, 3);
    const std::vector<std::pair<std::vector<std::int32_t>, double>> cases{
        {{0, 3}, 0.6342281177057542}, {{1, 2, 4}, 1.1778522185964009}, {{0, 1, 2, 3}, 0.03901027792698817}};
    for (const auto& [kept, error] : cases)
        EXPECT_NEAR(representationError(errorRow, errorValues, 3, kept, full), error, 1e-6); // numpy
}

TEST(RepresentationError, IsZeroForEverythingAndOneForNothing)
{
    const auto full = attentionOutput(errorRow, errorValues, 3);
    EXPECT_EQ(representationError(errorRow, errorValues, 3, std::vector<std::int32_t>{0, 1, 2, 3, 4}, full), 0.0);
    EXPECT_NEAR(representationError(errorRow, errorValues, 3, {}, full), 1.0, 1e-12);
    const std::vector<float> equal(15, 2.0F);
    EXPECT_NEAR(
        representationError(errorRow, equal, 3, std::vector<std::int32_t>{4}, attentionOutput(errorRow, equal, 3)), 0.0,
        1e-12)
        << "equal values cannot be told apart";
    const std::vector<float> zero(15, 0.0F);
    EXPECT_EQ(
        representationError(errorRow, zero, 3, std::vector<std::int32_t>{4}, attentionOutput(errorRow, zero, 3)), 0.0);
}

} // namespace
} // namespace kvloupe
