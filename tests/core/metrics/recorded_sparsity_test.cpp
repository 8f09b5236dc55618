// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/metrics/recorded_sparsity.h"

#include "core/metrics/row_pass.h"
#include "core/replay/attention_tiles.h"
#include "core/replay/evidence_builder.h"
#include "tests/support/make_recording.h"
#include "tests/support/temporary_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <mutex>

namespace kvloupe {
namespace {

using testing::HasSubstr;

Recording recorded(const TemporaryFolder& folder, RecordKind kind, std::int64_t window = 0, std::int64_t prompt = 150)
{
    SyntheticRecording options;
    options.headDim = 16;
    options.promptTokens = prompt;
    options.generatedTokens = 12;
    options.kind = kind;
    options.window = window;
    const auto path = folder.path() / "r.h5";
    makeRecording(path, options);
    return Recording::open(path);
}

const std::vector<int> allHeads{0, 1, 2, 3};

TEST(RowPass, VisitsEveryRowOnceWithTheBitsOfTheEvidence)
{
    const TemporaryFolder folder;
    const Recording recording = recorded(folder, RecordKind::QueriesKeys, 0, 300); // several blocks
    std::mutex mutex;
    std::vector<std::vector<float>> rows(312);
    const std::vector<int> head{2};
    forEachRowBlock(recording, 0, 1, head, 0, 312, [&](const RowBlock& block) {
        EXPECT_EQ(block.head, 2);
        const std::lock_guard lock(mutex);
        for (std::int64_t row = 0; row < block.rows; ++row) {
            auto& stored = rows[static_cast<std::size_t>(block.queryBegin + row)];
            EXPECT_TRUE(stored.empty());
            stored.assign(block.visible(row).begin(), block.visible(row).end());
        }
    });
    EvidenceNeeds needs;
    needs.lastRows = 300;
    const OwnedEvidence evidence = EvidenceBuilder(recording).build(0, 1, needs);
    for (std::int64_t query = 0; query < 300; ++query) {
        const auto expected = evidence.view.lastRow(2, query).first(static_cast<std::size_t>(query + 1));
        EXPECT_TRUE(std::ranges::equal(rows[static_cast<std::size_t>(query)], expected)) << query;
    }
    EXPECT_EQ(rows[311].size(), 312U) << "generated rows too";
}

TEST(RowPass, ShowsOnlyWhatASlidingWindowSees)
{
    const TemporaryFolder folder;
    const Recording recording = recorded(folder, RecordKind::QueriesKeys, 20);
    std::atomic<int> rows = 0;
    forEachRowBlock(recording, 0, 0, allHeads, 100, 150, [&](const RowBlock& block) {
        for (std::int64_t row = 0; row < block.rows; ++row) {
            EXPECT_EQ(block.visible(row).size(), 20U);
            EXPECT_EQ(block.firstVisible(row), block.queryBegin + row - 19);
            double sum = 0.0;
            for (const float cell : block.visible(row))
                sum += static_cast<double>(cell);
            EXPECT_NEAR(sum, 1.0, 1e-5);
            ++rows;
        }
    });
    EXPECT_EQ(rows, 4 * 50);
}

TEST(RecordedSparsity, IsTheSameFromStatisticsAndFromQueriesAndKeys)
{
    for (const std::int64_t window : {0, 20}) {
        const TemporaryFolder first;
        const TemporaryFolder second;
        const Recording statistics = recorded(first, RecordKind::Statistics, window);
        const Recording queriesKeys = recorded(second, RecordKind::QueriesKeys, window);
        ASSERT_TRUE(statistics.has(0, 1, TokenArray::RowGini));
        ASSERT_FALSE(queriesKeys.has(0, 1, TokenArray::RowGini));
        const auto a = recordedSparsity(statistics, 0, 1, allHeads);
        const auto b = recordedSparsity(queriesKeys, 0, 1, allHeads);
        for (std::size_t head = 0; head < 4; ++head) {
            EXPECT_EQ(a[head].entropy, b[head].entropy);
            EXPECT_EQ(a[head].sinkMass, b[head].sinkMass);
            EXPECT_EQ(a[head].maximum, b[head].maximum);
            ASSERT_EQ(a[head].gini.size(), 162U);
            ASSERT_EQ(b[head].topMass.size(), 3U * 162U);
            EXPECT_EQ(a[head].gini, b[head].gini);
            EXPECT_EQ(a[head].topMass, b[head].topMass);
        }
    }
}

TEST(RecordedSparsity, IsMadeOnceAndThenTakenFromTheCache)
{
    const TemporaryFolder folder;
    const Recording recording = recorded(folder, RecordKind::QueriesKeys);
    RecordingCache cache(recording);
    const std::vector<int> someHeads{0, 2};
    recordedSparsity(recording, 0, 1, someHeads, &cache);
    EXPECT_EQ(cache.find(0, 1, "row_gini", 4 * 162), std::nullopt) << "two of four heads are not kept";
    const auto made = recordedSparsity(recording, 0, 1, allHeads, &cache);

    RecordingCache next(recording);
    std::optional<std::vector<float>> gini = next.find(0, 1, "row_gini", 4 * 162);
    ASSERT_TRUE(gini);
    const auto taken = recordedSparsity(recording, 0, 1, someHeads, &next);
    EXPECT_EQ(taken[1].gini, made[2].gini);
    EXPECT_EQ(taken[1].topMass, made[2].topMass);
    EXPECT_EQ(taken[0].entropy, made[0].entropy);

    // What is read is what the cache holds: other numbers there are seen.
    std::filesystem::remove(next.path());
    RecordingCache other(recording);
    std::ranges::fill(*gini, 0.125F);
    other.store(0, 1, "row_gini", *gini);
    other.store(0, 1, "row_top_mass", std::vector<float>(3 * 4 * 162, 0.5F));
    EXPECT_EQ(recordedSparsity(recording, 0, 1, allHeads, &other)[3].gini.at(77), 0.125F);
}

TEST(RecordedSparsity, AgreesWithTheMeasuresOfPlainRows)
{
    const TemporaryFolder folder;
    const Recording recording = recorded(folder, RecordKind::QueriesKeys);
    AttentionTiles tiles(recording);
    const std::vector<int> heads{1, 3};
    const auto series = recordedSparsity(recording, 0, 0, heads);
    ASSERT_EQ(series.size(), 2U);
    for (std::size_t index = 0; index < heads.size(); ++index)
        for (const std::int64_t query : {0, 1, 5, 63, 149}) {
            auto row = tiles.row(0, 0, heads[index], query);
            row.resize(static_cast<std::size_t>(query + 1));
            const RowSparsity expected = rowSparsity(row);
            const RowSparsity found = series[index].at(query);
            EXPECT_NEAR(found.entropy, expected.entropy, 1e-4);
            EXPECT_NEAR(found.effectiveKeys / expected.effectiveKeys, 1.0, 1e-4);
            EXPECT_NEAR(found.gini, expected.gini, 1e-6);
            EXPECT_NEAR(found.topMass[1], expected.topMass[1], 1e-6);
            EXPECT_NEAR(found.sinkMass, expected.sinkMass, 1e-6);
            EXPECT_NEAR(found.maximum, expected.maximum, 1e-6);
        }
}

TEST(RecordedSparsity, SaysWhichOptionRecordsWhatIsMissing)
{
    const TemporaryFolder folder;
    const Recording recording = recorded(folder, RecordKind::Statistics);
    try {
        forEachRowBlock(recording, 0, 0, allHeads, 0, 10, [](const RowBlock&) {});
        FAIL() << "no queries and keys";
    } catch (const RecordingError& error) {
        EXPECT_THAT(error.what(), HasSubstr("--record qk"));
        EXPECT_THAT(error.what(), HasSubstr("layer 0"));
    }
}

} // namespace
} // namespace kvloupe
