// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/metrics/mean_rows.h"

#include "tests/support/make_recording.h"
#include "tests/support/temporary_folder.h"

#include <gtest/gtest.h>

#include <cmath>

namespace kvloupe {
namespace {

MeanRows rowsOf(const TemporaryFolder& folder, RecordKind kind, std::int64_t generated, std::int64_t window = 0)
{
    SyntheticRecording options;
    options.layers = 1;
    options.headDim = 16;
    options.promptTokens = 300;
    options.generatedTokens = generated;
    options.kind = kind;
    options.window = window;
    makeRecording(folder.path() / "r.h5", options);
    const Recording recording = Recording::open(folder.path() / "r.h5");
    AttentionTiles tiles(recording);
    const MeanRows rows = meanRows(recording, tiles, 0, 0, 10);
    if (kind == RecordKind::Statistics)
        return rows;
    for (int head = 0; head < 4; ++head) {
        for (std::int64_t key = 0; key < 300; key += 7) {
            double sum = 0.0;
            for (std::int64_t query = rows.queries.begin; query < rows.queries.end; ++query)
                sum += static_cast<double>(tiles.cell(0, 0, head, query, key));
            EXPECT_NEAR(static_cast<double>(rows.head(head, 300)[static_cast<std::size_t>(key)]),
                sum / static_cast<double>(rows.queries.size()), 1e-6)
                << "head " << head << " key " << key;
        }
    }
    return rows;
}

TEST(MeanRows, AreThoseOfTheFirstGeneratedQueries)
{
    const TemporaryFolder folder;
    EXPECT_EQ(rowsOf(folder, RecordKind::QueriesKeys, 25).queries, (TokenRange{300, 310}));
    EXPECT_EQ(rowsOf(folder, RecordKind::Full, 4).queries, (TokenRange{300, 304}));
}

TEST(MeanRows, AreThoseOfTheEndOfThePromptIfNothingWasGenerated)
{
    const TemporaryFolder folder;
    EXPECT_EQ(rowsOf(folder, RecordKind::QueriesKeys, 0, 60).queries, (TokenRange{290, 300}));
    const MeanRows tail = rowsOf(folder, RecordKind::Statistics, 0);
    EXPECT_EQ(tail.queries.end, 300);
    ASSERT_GT(tail.queries.size(), 0);
    double sum = 0.0;
    for (const float value : tail.head(3, 300))
        sum += static_cast<double>(value);
    EXPECT_NEAR(sum, 1.0, 1e-3);
}

TEST(LostAttention, IsWhatFallsOnTokensThatAreNotKept)
{
    const std::vector<float> row{0.5F, 0.125F, 0.25F, 0.125F};
    EXPECT_EQ(lostAttention(row, std::vector<std::int32_t>{0, 1, 2, 3}), 0.0);
    EXPECT_EQ(lostAttention(row, std::vector<std::int32_t>{0, 3}), 0.375);
    EXPECT_EQ(lostAttention(row, {}), 1.0);
    EXPECT_EQ(lostAttention(row, std::vector<std::int32_t>{-5, 0, 7}), 0.5) << "positions outside are harmless";
    EXPECT_TRUE(std::isnan(lostAttention({}, {})));
    EXPECT_TRUE(std::isnan(lostAttention(std::vector<float>{NAN, NAN}, {})));
}

} // namespace
} // namespace kvloupe
