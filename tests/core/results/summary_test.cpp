// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/results/summary.h"

#include "tests/support/made_results.h"

#include <cmath>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kvloupe {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;
using ::testing::Optional;
using ::testing::SizeIs;

/// A run of `samples` samples; `scores` gives every row's score.
template <typename Scores> ResultRun runOf(const RunHeader& header, int samples, Scores scores)
{
    ResultRun run;
    run.header = header;
    for (int sample = 0; sample < samples; ++sample)
        for (ResultRow& row : madeSample(header, sample)) {
            row.outcome->score = scores(row.branch, sample);
            row.outcome->correct = row.outcome->score == 1.0;
            run.rows.push_back(std::move(row));
        }
    return run;
}

Summary summaryOf(std::vector<ResultRun> runs, std::set<SummaryField> by = defaultSummaryFields())
{
    SummaryBuilder builder(std::move(by));
    for (const ResultRun& run : runs)
        builder.add(run);
    return builder.build();
}

/// The full cache is right on 30 of 40 samples; snapkv loses the first 0, 12, h2o the first 4, 30 of these 40.
double someScores(std::int64_t branch, int sample)
{
    constexpr std::array lost{0, 0, 4, 12, 30};
    const bool fullRight = sample < 30;
    return fullRight && sample >= lost[static_cast<std::size_t>(branch)] ? 1.0 : 0.0;
}

const SummaryCell& cellOf(const Summary& summary, const std::string& method, const std::string& budget)
{
    for (const SummaryCell& cell : summary.cells)
        if (cell.method == method && cell.budget == budget)
            return cell;
    throw std::runtime_error("no cell " + method + " " + budget);
}

TEST(Summary, HasARowPerMethodAndBudgetWithTheFullCacheFirst)
{
    const Summary summary = summaryOf({runOf(madeHeader(), 40, someScores)});
    std::vector<std::string> rows;
    for (const SummaryCell& cell : summary.cells)
        rows.push_back(*cell.task + " " + *cell.method + " " + *cell.budget);
    EXPECT_THAT(
        rows, ElementsAre("ar full 1", "ar snapkv:window=8 0.3", "ar snapkv:window=8 0.1", "ar h2o 0.3", "ar h2o 0.1"));
    EXPECT_EQ(summary.repeatedRows, 0);
}

TEST(Summary, NamesTheRowsBehindACellAndOfARepeatedMeasurementTheLast)
{
    // 5 rows a sample: row 5 s + b is sample s under branch b. The second run does sample 0 again, rows 15 to 19.
    const Summary summary = summaryOf({runOf(madeHeader(), 3, someScores), runOf(madeHeader(), 1, someScores)});
    EXPECT_THAT(cellOf(summary, "full", "1").rows, ElementsAre(5, 10, 15));
    EXPECT_THAT(cellOf(summary, "h2o", "0.1").rows, ElementsAre(9, 14, 19));

    ResultRun run = runOf(madeHeader(), 2, someScores);
    run.rows[6] = skippedRow(run.rows[6], "too long");
    EXPECT_THAT(cellOf(summaryOf({run}), "snapkv:window=8", "0.3").rows, ElementsAre(1, 6)) << "skipped ones too";
}

TEST(Summary, ComputesAccuracyDropAndTestOverTheSamplesOfTheFullRun)
{
    const Summary summary = summaryOf({runOf(madeHeader(), 40, someScores)});
    const SummaryCell& full = summary.cells[0];
    EXPECT_TRUE(full.full);
    EXPECT_EQ(full.samples, 40);
    EXPECT_EQ(full.accuracy, 0.75);
    EXPECT_EQ(full.accuracyInterval.low, wilsonInterval(30, 40).low);
    EXPECT_EQ(full.pairs, 0);
    EXPECT_FALSE(full.relativeDrop || full.mcnemar || full.pHolm || full.klToFull || full.lengthRatio);

    const SummaryCell& same = cellOf(summary, "snapkv:window=8", "0.3");
    EXPECT_THAT(same.relativeDrop, Optional(0.0));
    EXPECT_EQ(same.mcnemar->p, 1.0);

    const SummaryCell& snapkv = cellOf(summary, "snapkv:window=8", "0.1");
    EXPECT_EQ(snapkv.accuracy, 18.0 / 40.0);
    EXPECT_THAT(snapkv.relativeDrop, Optional(DoubleNear(-12.0 / 30.0, 1e-12)));
    EXPECT_EQ(snapkv.pairs, 40);
    EXPECT_EQ(snapkv.lost, 12);
    EXPECT_EQ(snapkv.gained, 0);
    EXPECT_EQ(snapkv.mcnemar->p, mcnemarTest(12, 0).p);
    EXPECT_EQ(snapkv.mcnemar->test, PairedTest::Exact);
    EXPECT_EQ(cellOf(summary, "h2o", "0.1").mcnemar->test, PairedTest::Corrected);
}

TEST(Summary, CorrectsOverTheMethodsOfOneBudget)
{
    const Summary summary = summaryOf({runOf(madeHeader(), 40, someScores)});
    const double snapkv = mcnemarTest(12, 0).p;
    const double h2o = mcnemarTest(30, 0).p;
    ASSERT_LT(h2o, snapkv);
    EXPECT_THAT(cellOf(summary, "snapkv:window=8", "0.1").pHolm, Optional(DoubleNear(snapkv, 1e-15)));
    EXPECT_THAT(cellOf(summary, "h2o", "0.1").pHolm, Optional(DoubleNear(2.0 * h2o, 1e-15)));
    EXPECT_THAT(cellOf(summary, "h2o", "0.3").pHolm, Optional(DoubleNear(2.0 * 0.125, 1e-15)));
}

TEST(Summary, ComparesLikelihoodDivergenceAndLength)
{
    ResultRun run = runOf(madeHeader(), 6, [](auto, auto) { return 1.0; });
    for (ResultRow& row : run.rows)
        if (row.branch == 4)
            row.outcome->ids.resize(6);
    const Summary summary = summaryOf({run});
    const SummaryCell& cell = cellOf(summary, "h2o", "0.1");
    // Each sample's sum is 1 nat above the full run's, over 5 tokens.
    ASSERT_TRUE(cell.nllDifference.has_value());
    EXPECT_NEAR(cell.nllDifference->mean, 0.2, 1e-12);
    EXPECT_NEAR(cell.nllDifference->low, 0.2, 1e-12);
    EXPECT_NEAR(cell.nllDifference->high, 0.2, 1e-12);
    EXPECT_THAT(cell.nll, Optional(DoubleNear((2.0 + 1.0 + 2.5) / 5.0, 1e-12)));
    EXPECT_THAT(cell.klToFull, Optional(DoubleNear(0.4, 1e-12)));
    EXPECT_THAT(cell.lengthRatio, Optional(DoubleNear(1.5, 1e-12)));
    EXPECT_NEAR(cell.meanCachedTokens, 12.0, 1e-12);
    EXPECT_NEAR(cell.requestedTokens, 10.0, 1e-12);
    EXPECT_NEAR(cell.realisedTokens, 10.0, 1e-12);
    EXPECT_NEAR(cell.realisedShare, 0.1, 1e-12);
}

TEST(Summary, TheIntervalOfTheLikelihoodIsThatOfTheBootstrapOverSamples)
{
    ResultRun run = runOf(madeHeader(), 12, [](auto, auto) { return 1.0; });
    std::vector<double> differences;
    for (ResultRow& row : run.rows)
        if (row.branch == 3)
            row.outcome->nllGoldSum += 0.01 * static_cast<double>((row.key.sample.back() * 7) % 13);
    for (std::size_t sample = 0; sample < 12; ++sample)
        differences.push_back(
            (run.rows[sample * 5 + 3].outcome->nllGoldSum - run.rows[sample * 5].outcome->nllGoldSum) / 5);
    const SummaryCell cell = cellOf(summaryOf({run}), "snapkv:window=8", "0.1");
    const std::vector<std::vector<double>> series{differences};
    const BootstrapMean expected = bootstrapMeans(series, 12, 1).front();
    ASSERT_LT(expected.low, expected.mean);
    EXPECT_NEAR(cell.nllDifference->mean, expected.mean, 1e-12);
    EXPECT_NEAR(cell.nllDifference->low, expected.low, 1e-12);
    EXPECT_NEAR(cell.nllDifference->high, expected.high, 1e-12);
}

TEST(Summary, NeverMixesModelsSuitesDataOrSettingsInOneRow)
{
    const std::vector<std::function<void(RunHeader&, ResultRow&)>> changes{
        [](RunHeader&, ResultRow& row) { row.model.fileSha256 = std::string(64, 'c'); },
        [](RunHeader&, ResultRow& row) { row.model.adapterSha256 = std::string(64, 'd'); },
        [](RunHeader&, ResultRow& row) { row.model.tokenizerSha256 = std::string(64, 'e'); },
        [](RunHeader&, ResultRow& row) { row.model.dtype = "bfloat16"; },
        [](RunHeader&, ResultRow& row) { row.suite = "other"; },
        [](RunHeader&, ResultRow& row) { row.dataSha256 = std::string(64, 'f'); },
        [](RunHeader&, ResultRow& row) { row.prompt.chat = true; },
        [](RunHeader&, ResultRow& row) { row.prompt.compressSpan = "context"; },
        [](RunHeader&, ResultRow& row) { row.firstToken = "compressed"; },
        [](RunHeader&, ResultRow& row) { row.decodeKeep = "0.5"; }};
    const ResultRun one = runOf(madeHeader(), 3, [](auto, auto) { return 1.0; });
    for (std::size_t change = 0; change < changes.size(); ++change) {
        ResultRun other = runOf(madeHeader(), 3, [](auto, auto) { return 0.0; });
        for (ResultRow& row : other.rows)
            changes[change](other.header, row);
        // Split by nothing: what is then still apart is always apart.
        const Summary summary = summaryOf({one, other}, {});
        ASSERT_THAT(summary.cells, SizeIs(4)) << change;
        for (const SummaryCell& cell : summary.cells) {
            EXPECT_EQ(cell.samples, 3) << change;
            EXPECT_TRUE(cell.accuracy == 0.0 || cell.accuracy == 1.0) << change;
        }
        EXPECT_EQ(summary.repeatedRows, 0);
    }
    EXPECT_THAT(summaryOf({one, one}, {}).cells, SizeIs(2));
}

TEST(Summary, AnotherDeviceIsTheSameModelAndTheLaterRowCounts)
{
    const ResultRun one = runOf(madeHeader(), 3, [](auto, auto) { return 1.0; });
    ResultRun other = runOf(madeHeader(), 3, [](auto, auto) { return 0.0; });
    for (ResultRow& row : other.rows)
        row.model.device = "cuda";
    const Summary summary = summaryOf({one, other});
    ASSERT_THAT(summary.cells, SizeIs(5));
    EXPECT_EQ(summary.cells[0].samples, 3);
    EXPECT_EQ(summary.cells[0].accuracy, 0.0);
    EXPECT_EQ(summary.repeatedRows, 15);
}

TEST(Summary, AveragesTheRowsOfASampleBeforeItCountsSamples)
{
    const Summary summary
        = summaryOf({runOf(madeHeader(), 40, someScores)}, {SummaryField::Task, SummaryField::Budget});
    ASSERT_THAT(summary.cells, SizeIs(3));
    const SummaryCell& cell = summary.cells[2];
    EXPECT_EQ(cell.budget, "0.1");
    EXPECT_EQ(cell.method, std::nullopt);
    EXPECT_EQ(cell.samples, 40);
    EXPECT_NEAR(cell.accuracy, (18.0 + 0.0) / 80.0, 1e-12);
    EXPECT_THAT(cell.relativeDrop, Optional(DoubleNear(9.0 / 30.0 - 1.0, 1e-12)));
    EXPECT_EQ(cell.lost, 30); // one of the two methods, or both, lost the sample
    EXPECT_EQ(cell.fidelity, "exact+renormalised");
}

TEST(Summary, CountsSkippedSamplesAndLeavesThemOutOfTheAccuracy)
{
    ResultRun run = runOf(madeHeader(), 4, [](auto, auto) { return 1.0; });
    for (ResultRow& row : run.rows)
        if (row.key.sample == "ar-3")
            row = skippedRow(row, "9000 tokens, the context holds 8192");
    const Summary summary = summaryOf({run});
    for (const SummaryCell& cell : summary.cells) {
        EXPECT_EQ(cell.samples, 3);
        EXPECT_EQ(cell.skipped, 1);
        EXPECT_EQ(cell.accuracy, 1.0);
        EXPECT_EQ(cell.pairs, cell.full ? 0 : 3);
    }
    for (ResultRow& row : run.rows)
        if (row.outcome)
            row = skippedRow(row, "9000 tokens");
    const Summary none = summaryOf({run});
    ASSERT_THAT(none.cells, SizeIs(5));
    EXPECT_EQ(none.cells[4].skipped, 4);
    EXPECT_TRUE(std::isnan(none.cells[4].accuracy));
    EXPECT_FALSE(none.cells[4].mcnemar.has_value());
}

TEST(Summary, ScoresThatAreSharesCountAsSharesAndByTheirSign)
{
    const Summary summary = summaryOf({runOf(madeHeader(), 10, [](std::int64_t branch, int sample) {
        return branch == 0 ? 0.8 : branch == 4 ? (sample < 8 ? 0.4 : 0.9) : 0.8;
    })});
    const SummaryCell& cell = cellOf(summary, "h2o", "0.1");
    EXPECT_NEAR(cell.accuracy, 0.5, 1e-12);
    EXPECT_NEAR(cell.accuracyInterval.high, wilsonInterval(5.0, 10).high, 1e-12);
    EXPECT_EQ(cell.lost, 8);
    EXPECT_EQ(cell.gained, 2);
    EXPECT_THAT(cell.relativeDrop, Optional(DoubleNear(-0.375, 1e-12)));
}

TEST(Summary, WithoutAFullRunThereIsNothingToCompareWith)
{
    ResultRun run = runOf(madeHeader(), 3, [](auto, auto) { return 1.0; });
    std::erase_if(run.rows, [](const ResultRow& row) { return row.method.name == "full"; });
    const Summary summary = summaryOf({run});
    ASSERT_THAT(summary.cells, SizeIs(4));
    EXPECT_EQ(summary.cells[0].pairs, 0);
    EXPECT_FALSE(summary.cells[0].relativeDrop.has_value());
    EXPECT_THAT(summaryOf({}).cells, SizeIs(0));
}

TEST(Summary, TellsModelsOfTheSameNameApart)
{
    const ResultRun one = runOf(madeHeader(), 1, [](auto, auto) { return 1.0; });
    ResultRun other = one;
    for (ResultRow& row : other.rows)
        row.model.fileSha256 = std::string(64, 'c');
    const Summary summary = summaryOf({one, other});
    EXPECT_EQ(summary.cells.front().modelLabel, "made-135m (aaaaaaaa, tokenizer bbbbbbbb)");
    EXPECT_EQ(summary.cells.back().modelLabel, "made-135m (cccccccc, tokenizer bbbbbbbb)");
    EXPECT_EQ(summaryOf({one}).cells.front().modelLabel, "made-135m");
}

TEST(Summary, NamesOfFieldsAreReadBack)
{
    for (const std::string& name : summaryFieldNames())
        EXPECT_EQ(summaryFieldName(*summaryFieldFromName(name)), name);
    EXPECT_EQ(summaryFieldFromName("budget"), SummaryField::Budget);
    EXPECT_EQ(summaryFieldFromName("color"), std::nullopt);
}

} // namespace
} // namespace kvloupe
