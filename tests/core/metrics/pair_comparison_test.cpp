// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/metrics/pair_comparison.h"

#include "core/error.h"
#include "tests/support/make_recording.h"
#include "tests/support/temporary_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

namespace kvloupe {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Side = PairComparison::Side;

MeasureRow spanMass(int layer, int head, const char* queries, const char* span, int shot, double mass, int tokens)
{
    return {&metricInfo(Metric::SpanMass),
        {std::string("r.h5"), std::int64_t{0}, std::string("x"), std::int64_t{layer}, std::int64_t{head},
            std::string(queries), std::string(span), shot < 0 ? MeasureCell() : MeasureCell(std::int64_t{shot}), mass,
            tokens / 100.0, std::int64_t{tokens}}};
}

MeasureRow retained(int layer, int head, double mass)
{
    return {&metricInfo(Metric::RetainedMass),
        {std::string("r.h5"), std::int64_t{0}, std::string("x"), std::string("h2o"), std::string("keep=0.1"), 0.1,
            std::int64_t{layer}, std::int64_t{head}, std::string("last"), mass, mass, mass, std::int64_t{1}}};
}

/// Rows by a readable key: measure and the keys that are not empty.
std::map<std::string, std::map<std::string, MeasureCell>> compared(const PairComparison& comparison)
{
    std::map<std::string, std::map<std::string, MeasureCell>> result;
    comparison.write({}, [&](const MeasureRow& row) {
        ASSERT_EQ(row.cells.size(), row.metric->columns.size());
        std::string key;
        std::map<std::string, MeasureCell> cells;
        for (std::size_t cell = 0; cell < row.cells.size(); ++cell) {
            const auto& [name, isKey] = row.metric->columns[cell];
            cells[name] = row.cells[cell];
            if (!isKey || std::holds_alternative<std::monostate>(row.cells[cell]))
                continue;
            const auto* number = std::get_if<std::int64_t>(&row.cells[cell]);
            const auto* text = std::get_if<std::string>(&row.cells[cell]);
            key += (key.empty() ? "" : " ")
                + (number != nullptr      ? std::to_string(*number)
                        : text != nullptr ? *text
                                          : "-");
        }
        EXPECT_TRUE(result.emplace(key, cells).second) << key;
    });
    return result;
}

double real(const std::map<std::string, MeasureCell>& row, const char* column)
{
    return std::get<double>(row.at(column));
}

TEST(PairComparison, AlignsSpansByKindAndAddsTheShots)
{
    const std::vector<Metric> metrics{Metric::SpanMass};
    PairComparison comparison(metrics);
    comparison.add(Side::First, 0, spanMass(0, 0, "last", "bos", -1, 0.5, 1));
    comparison.add(Side::First, 0, spanMass(0, 0, "last", "shot", 0, 0.1, 20));
    comparison.add(Side::First, 0, spanMass(0, 0, "last", "shot", 1, 0.4, 30));
    comparison.add(Side::Second, 0, spanMass(0, 0, "last", "bos", -1, 0.2, 1));
    comparison.add(Side::Second, 0, spanMass(0, 0, "last", "shot", 0, 0.2, 55));
    comparison.add(Side::Second, 0, spanMass(0, 0, "last", "thinking", -1, 0.6, 44));
    comparison.add(Side::Second, 0, spanMass(0, 0, "generated", "bos", -1, 1.0, 1));
    const auto rows = compared(comparison);

    const auto& shots = rows.at("mass_fraction 0 last shot");
    EXPECT_DOUBLE_EQ(real(shots, "first_mean"), 0.5);
    EXPECT_DOUBLE_EQ(real(shots, "second_mean"), 0.2);
    EXPECT_DOUBLE_EQ(real(shots, "difference_mean"), -0.3);
    EXPECT_DOUBLE_EQ(real(rows.at("tokens_count 0 last shot"), "first_mean"), 50.0);
    const auto& thinking = rows.at("mass_fraction 0 last thinking");
    EXPECT_EQ(real(thinking, "first_mean"), 0.0) << "no such span, no attention on it";
    EXPECT_DOUBLE_EQ(real(thinking, "difference_mean"), 0.6);
    EXPECT_EQ(real(thinking, "difference_low"), real(thinking, "difference_high")) << "one head of one sample";
    EXPECT_FALSE(rows.contains("mass_fraction 0 generated bos")) << "measured on one side only";
    EXPECT_TRUE(rows.contains("mass_fraction last bos")) << "over all layers";
}

TEST(PairComparison, TakesMeansOverHeadsAndSamplesAndPairsTheirDifferences)
{
    std::mt19937 random(8);
    std::uniform_real_distribution<double> noise(0.0, 0.5);
    const std::vector<Metric> metrics{Metric::RetainedMass};
    PairComparison comparison(metrics);
    double sum = 0.0;
    for (int pair = 0; pair < 6; ++pair)
        for (int layer = 0; layer < 2; ++layer)
            for (int head = 0; head < 4; ++head) {
                const double value = noise(random);
                sum += layer == 1 ? value : 0.0;
                comparison.add(Side::First, pair, retained(layer, head, value));
                comparison.add(Side::Second, pair, retained(layer, head, value + 0.25));
            }
    const auto rows = compared(comparison);
    const auto& layer = rows.at("mean_mass_fraction h2o keep=0.1 - 1 last");
    EXPECT_EQ(std::get<std::int64_t>(layer.at("samples_count")), 6);
    EXPECT_EQ(std::get<std::int64_t>(layer.at("heads_count")), 4);
    EXPECT_NEAR(real(layer, "first_mean"), sum / 24.0, 1e-12);
    EXPECT_NEAR(real(layer, "difference_mean"), 0.25, 1e-12);
    EXPECT_NEAR(real(layer, "difference_low"), 0.25, 1e-9) << "the noise is the same on both sides";
    EXPECT_NEAR(real(layer, "difference_high"), 0.25, 1e-9);
    EXPECT_LT(real(layer, "first_low"), real(layer, "first_mean") - 0.01);
    EXPECT_GT(real(layer, "first_high"), real(layer, "first_mean") + 0.01);
    const auto& all = rows.at("mean_mass_fraction h2o keep=0.1 - last");
    EXPECT_EQ(std::get<std::int64_t>(all.at("heads_count")), 8) << "heads of all layers";
}

TEST(PairComparison, LeavesOutHeadsThatOneSideLacks)
{
    const std::vector<Metric> metrics{Metric::RetainedMass};
    PairComparison comparison(metrics);
    comparison.add(Side::First, 0, retained(0, 0, 0.5));
    comparison.add(Side::First, 0, retained(0, 1, 0.9));
    comparison.add(Side::First, 0, retained(1, 0, 0.9));
    comparison.add(Side::Second, 0, retained(0, 0, 0.4));
    const auto rows = compared(comparison);
    EXPECT_DOUBLE_EQ(real(rows.at("mean_mass_fraction h2o keep=0.1 - 0 last"), "first_mean"), 0.5);
    EXPECT_FALSE(rows.contains("mean_mass_fraction h2o keep=0.1 - 1 last"));
    const std::vector<Metric> series{Metric::SparsityRows};
    EXPECT_THROW(PairComparison{series}, Error);
}

TEST(PairedSamples, AreFoundByPairIdAndNeedTheSameShape)
{
    const TemporaryFolder folder;
    SyntheticRecording options;
    options.promptTokens = 40;
    options.headDim = 8;
    options.samples = 3;
    makeRecording(folder.path() / "three.h5", options);
    options.samples = 2;
    makeRecording(folder.path() / "two.h5", options);
    options.layers = 3;
    makeRecording(folder.path() / "deeper.h5", options);
    const Recording three = Recording::open(folder.path() / "three.h5");
    const Recording two = Recording::open(folder.path() / "two.h5");
    EXPECT_THAT(pairedSamples(three, two), ElementsAre(std::pair{0, 0}, std::pair{1, 1}));
    try {
        pairedSamples(two, Recording::open(folder.path() / "deeper.h5"));
        FAIL();
    } catch (const Error& error) {
        EXPECT_THAT(error.what(), HasSubstr("deeper.h5: found 3 layers"));
    }
}

} // namespace
} // namespace kvloupe
