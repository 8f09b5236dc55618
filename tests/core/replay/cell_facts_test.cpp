// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/replay/cell_facts.h"

#include "tests/support/make_recording.h"
#include "tests/support/temporary_folder.h"

#include <gtest/gtest.h>

#include <cmath>

namespace kvloupe {
namespace {

class CellFactsTest : public testing::Test {
protected:
    void make(RecordKind kind, std::int64_t window = 0)
    {
        SyntheticRecording options;
        options.layers = 1;
        options.promptTokens = 300;
        options.generatedTokens = 20;
        options.kind = kind;
        options.window = window;
        makeRecording(m_folder.path() / "r.h5", options);
        m_recording.emplace(Recording::open(m_folder.path() / "r.h5"));
        m_tiles.emplace(*m_recording);
    }

    CellFacts facts(std::int64_t query, std::int64_t key, int level = 0)
    {
        return cellFacts(*m_recording, *m_tiles, {0, 0, 1, query, key, level, 320});
    }

    const TemporaryFolder m_folder;
    std::optional<Recording> m_recording;
    std::optional<AttentionTiles> m_tiles;
};

TEST_F(CellFactsTest, RankACellInItsRow)
{
    make(RecordKind::QueriesKeys);
    for (const std::int64_t query : {120, 310}) {
        std::int64_t sum = 0;
        for (std::int64_t key = 0; key <= query; ++key) {
            const CellFacts found = facts(query, key);
            EXPECT_EQ(found.visible, query + 1);
            EXPECT_EQ(found.value, m_tiles->cell(0, 0, 1, query, key));
            sum += found.rank;
            std::int64_t larger = 0;
            for (std::int64_t other = 0; other <= query; other += 40)
                larger += m_tiles->cell(0, 0, 1, query, other) > found.value ? 1 : 0;
            EXPECT_GT(found.rank, larger);
        }
        EXPECT_LE(sum, (query + 1) * (query + 2) / 2) << "ranks are 1 ... n, equal values share the better one";
        EXPECT_GT(sum, (query + 1) * query / 2 - query * 4);
    }
    EXPECT_EQ(facts(10, 11).rank, 0) << "not visible";
}

TEST_F(CellFactsTest, CountOnlyCellsInsideTheWindow)
{
    make(RecordKind::QueriesKeys, 50);
    EXPECT_EQ(facts(200, 180).visible, 50);
    EXPECT_LE(facts(200, 180).rank, 50);
    EXPECT_GE(facts(200, 180).rank, 1);
    EXPECT_EQ(facts(200, 120).rank, 0);
    EXPECT_EQ(facts(10, 3).visible, 11);
}

TEST_F(CellFactsTest, KnowThePixelThatStandsForManyCells)
{
    make(RecordKind::Full);
    // Rows 296 ... 303 hold prompt and generated queries.
    const CellFacts found = facts(299, 5, 3);
    ASSERT_TRUE(found.block);
    float largest = -1.0F;
    float smallest = 2.0F;
    double sum = 0.0;
    std::pair<std::int64_t, std::int64_t> place;
    for (std::int64_t query = 296; query < 304; ++query) {
        for (std::int64_t key = 0; key < 8; ++key) {
            const float value = m_tiles->cell(0, 0, 1, query, key);
            if (value > largest)
                place = {query, key};
            largest = std::max(largest, value);
            smallest = std::min(smallest, value);
            sum += static_cast<double>(value);
        }
    }
    EXPECT_EQ(found.block->maximum, largest);
    EXPECT_EQ(found.block->minimum, smallest);
    EXPECT_NEAR(static_cast<double>(found.block->mean), sum / 64, 1e-7);
    EXPECT_EQ(found.block->cells, 64);
    EXPECT_EQ(std::pair(found.block->maximumQuery, found.block->maximumKey), place);
    const CellFacts diagonal = facts(17, 17, 2);
    ASSERT_TRUE(diagonal.block);
    EXPECT_EQ(diagonal.block->cells, 10) << "the causal part of 4 x 4";
    EXPECT_FALSE(facts(5, 60, 2).block);
    EXPECT_EQ(facts(319, 319, 4).block->cells, 136) << "the last block ends with the tokens";
}

TEST_F(CellFactsTest, AreUnknownWhereNothingWasRecorded)
{
    make(RecordKind::Statistics);
    const CellFacts found = facts(100, 5, 2);
    EXPECT_TRUE(std::isnan(found.value));
    EXPECT_EQ(found.rank, 0);
    EXPECT_FALSE(found.block);
}

} // namespace
} // namespace kvloupe
