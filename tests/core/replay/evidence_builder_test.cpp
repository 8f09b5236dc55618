// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/replay/evidence_builder.h"

#include "core/recording/recording.h"
#include "core/replay/recorded_decode_rows.h"
#include "tests/support/make_recording.h"
#include "tests/support/temporary_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace kvloupe {
namespace {

using testing::AllOf;
using testing::HasSubstr;

SyntheticRecording smallOptions(RecordKind kind)
{
    SyntheticRecording options;
    options.headDim = 16;
    options.promptTokens = 150;
    options.generatedTokens = 40;
    options.kind = kind;
    return options;
}

Recording recorded(const TemporaryFolder& folder, const SyntheticRecording& options, const char* name = "r.h5")
{
    makeRecording(folder.path() / name, options);
    return Recording::open(folder.path() / name);
}

EvidenceNeeds rowsOnly(std::int64_t rows)
{
    EvidenceNeeds needs;
    needs.lastRows = rows;
    return needs;
}

/// Softmax of one row in double, straight from the vectors in the file.
std::vector<double> slowRow(const Recording& recording, int layer, int head, std::int64_t query, std::int64_t window)
{
    const int dim = recording.model().headDim;
    const int kvHead = head / recording.model().groupSize();
    std::vector<float> q(static_cast<std::size_t>(dim));
    recording.readVectors(0, layer, VectorArray::Queries, head, query, query + 1, q);
    std::vector<double> row(static_cast<std::size_t>(query + 1), 0.0);
    std::vector<float> k(static_cast<std::size_t>(dim));
    double sum = 0.0;
    for (std::int64_t key = window > 0 ? std::max<std::int64_t>(0, query - window + 1) : 0; key <= query; ++key) {
        recording.readVectors(0, layer, VectorArray::Keys, kvHead, key, key + 1, k);
        double dot = 0.0;
        for (std::size_t i = 0; i < k.size(); ++i)
            dot += static_cast<double>(q[i]) * static_cast<double>(k[i]);
        row[static_cast<std::size_t>(key)] = std::exp(dot * recording.sample(0).softmaxScale);
        sum += row[static_cast<std::size_t>(key)];
    }
    for (double& value : row)
        value /= sum;
    return row;
}

TEST(EvidenceBuilder, ComputesLastRowsFromQueriesAndKeys)
{
    const TemporaryFolder folder;
    const Recording recording = recorded(folder, smallOptions(RecordKind::QueriesKeys));
    const OwnedEvidence evidence = EvidenceBuilder(recording).build(0, 1, rowsOnly(5));
    EXPECT_EQ(evidence.view.tokens, 150);
    EXPECT_EQ(evidence.view.lastRowCount, 5);
    EXPECT_EQ(evidence.view.layer, 1);
    for (int head = 0; head < 4; ++head)
        for (std::int64_t row = 0; row < 5; ++row) {
            const auto expected = slowRow(recording, 1, head, 145 + row, 0);
            const auto actual = evidence.view.lastRow(head, row);
            for (std::size_t key = 0; key < actual.size(); ++key)
                ASSERT_NEAR(actual[key], key < expected.size() ? expected[key] : 0.0, 2e-6)
                    << "head " << head << " row " << row << " key " << key;
        }
}

TEST(EvidenceBuilder, GivesTheSameBitsFromTheTailOfStatistics)
{
    const TemporaryFolder folder;
    const Recording full = recorded(folder, smallOptions(RecordKind::Full), "full.h5");
    const Recording statistics = recorded(folder, smallOptions(RecordKind::Statistics), "statistics.h5");
    EvidenceNeeds needs = rowsOnly(32);
    needs.columnSums = needs.keyNorms = needs.valueNorms = true;
    const OwnedEvidence a = EvidenceBuilder(full).build(0, 0, needs);
    const OwnedEvidence b = EvidenceBuilder(statistics).build(0, 0, needs);
    EXPECT_EQ(a.lastRows, b.lastRows);
    EXPECT_EQ(a.columnSums, b.columnSums);
    EXPECT_EQ(a.keyNorms, b.keyNorms);
    EXPECT_EQ(a.valueNorms, b.valueNorms);
}

TEST(EvidenceBuilder, TakesStatisticsOfThePromptAlone)
{
    const TemporaryFolder folder;
    const Recording recording = recorded(folder, smallOptions(RecordKind::QueriesKeys));
    EvidenceNeeds needs = rowsOnly(1000);
    needs.columnSums = needs.keyNorms = needs.keys = true;
    const OwnedEvidence evidence = EvidenceBuilder(recording).build(0, 0, needs);
    EXPECT_EQ(evidence.view.lastRowCount, 150) << "no more rows than there are";
    for (int head = 0; head < 4; ++head)
        for (std::size_t key = 0; key < 150; ++key) {
            double sum = 0.0;
            for (std::int64_t row = 0; row < 150; ++row)
                sum += static_cast<double>(evidence.view.lastRow(head, row)[key]);
            ASSERT_NEAR(evidence.view.columnSum(head)[key], sum, 1e-4) << head << " " << key;
        }
    for (std::size_t token = 0; token < 300; ++token) {
        double squares = 0.0;
        for (std::size_t i = 0; i < 16; ++i)
            squares += std::pow(static_cast<double>(evidence.view.keys[token * 16 + i]), 2);
        ASSERT_NEAR(evidence.view.keyNorms[token], std::sqrt(squares), 1e-4 * std::sqrt(squares)) << token;
    }
}

TEST(EvidenceBuilder, LeavesOnlyTheWindowOfASlidingLayer)
{
    const TemporaryFolder folder;
    SyntheticRecording options = smallOptions(RecordKind::QueriesKeys);
    options.window = 40;
    const Recording recording = recorded(folder, options);
    EvidenceNeeds needs = rowsOnly(3);
    needs.columnSums = needs.keys = true;
    const OwnedEvidence evidence = EvidenceBuilder(recording).build(0, 0, needs);
    EXPECT_EQ(evidence.view.tokens, 40);
    EXPECT_EQ(evidence.view.firstPosition, 110);
    const auto expected = slowRow(recording, 0, 2, 149, 40);
    for (std::size_t i = 0; i < 40; ++i)
        ASSERT_NEAR(evidence.view.lastRow(2, 2)[i], expected[110 + i], 2e-6);
    std::vector<float> key(16);
    recording.readVectors(0, 0, VectorArray::Keys, 1, 110, 111, key);
    EXPECT_TRUE(std::equal(key.begin(), key.end(), evidence.view.keys.begin() + 40 * 16));
    EXPECT_EQ(evidence.view.columnSum(3).back(), recording.read(0, 0, TokenArray::ColumnSum).at(3 * 190 + 149));
}

std::string buildError(const Recording& recording, const EvidenceNeeds& needs)
{
    try {
        EvidenceBuilder(recording).build(0, 1, needs);
    } catch (const RecordingError& error) {
        return error.what();
    }
    return "built";
}

TEST(EvidenceBuilder, NamesTheOptionThatRecordsWhatIsMissing)
{
    const TemporaryFolder folder;
    const Recording recording = recorded(folder, smallOptions(RecordKind::Statistics));
    EXPECT_EQ(buildError(recording, rowsOnly(64)), "built");
    EXPECT_THAT(buildError(recording, rowsOnly(65)),
        AllOf(HasSubstr("r.h5"), HasSubstr("layer 1"), HasSubstr("last 65 prompt tokens"), HasSubstr("found 64"),
            HasSubstr("--record qk")));
    EvidenceNeeds needs;
    needs.keys = true;
    EXPECT_THAT(buildError(recording, needs), AllOf(HasSubstr("keys"), HasSubstr("--record qk")));
    needs = {};
    needs.outputValueNorms = true;
    EXPECT_THAT(buildError(recording, needs), AllOf(HasSubstr("output_value_norm1"), HasSubstr("--with output-norms")));
}

TEST(EvidenceBuilder, StaysWithItsViewsWhenMoved)
{
    const TemporaryFolder folder;
    const Recording recording = recorded(folder, smallOptions(RecordKind::QueriesKeys));
    OwnedEvidence first = EvidenceBuilder(recording).build(0, 0, rowsOnly(2));
    const float value = first.view.lastRow(1, 1)[7];
    const OwnedEvidence second = std::move(first);
    EXPECT_EQ(second.view.lastRows.data(), second.lastRows.data());
    EXPECT_EQ(second.view.lastRow(1, 1)[7], value);
}

TEST(PromptLayoutOfARecording, HoldsTheSpansOfTheSample)
{
    const TemporaryFolder folder;
    SyntheticRecording options = smallOptions(RecordKind::Statistics);
    const Recording recording = recorded(folder, options);
    const PromptLayout layout = promptLayout(recording, 0);
    EXPECT_EQ(layout.promptTokens(), 150);
    EXPECT_EQ(layout.totalTokens(), 190);
    EXPECT_EQ(layout.shots().size(), 2U);
}

TEST(RecordedDecodeRows, AreTheRowsOfGeneratedTokens)
{
    const TemporaryFolder folder;
    const Recording recording = recorded(folder, smallOptions(RecordKind::QueriesKeys));
    RecordedDecodeRows rows(recording, 0, 1, 40); // more than one block of steps
    EXPECT_EQ(rows.queryHeads(), 4);
    for (const std::int64_t step : {0, 1, 31, 32, 39}) {
        for (int head = 0; head < 4; ++head) {
            const auto expected = slowRow(recording, 1, head, 150 + step, 0);
            const auto actual = rows.row(head, step);
            ASSERT_EQ(actual.size(), expected.size());
            for (std::size_t key = 0; key < actual.size(); ++key)
                ASSERT_NEAR(actual[key], expected[key], 2e-6) << step << " " << head << " " << key;
        }
    }
}

} // namespace
} // namespace kvloupe
