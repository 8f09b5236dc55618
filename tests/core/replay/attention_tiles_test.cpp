// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/replay/attention_tiles.h"

#include "tests/support/make_recording.h"
#include "tests/support/temporary_folder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

namespace kvloupe {
namespace {

constexpr std::int64_t edge = 256;

std::size_t index(std::int64_t value)
{
    return static_cast<std::size_t>(value);
}

/// The map of the first `prompt` tokens of one head in double, straight from the definition.
std::vector<double> referenceMap(const Recording& recording, int layer, int head, std::int64_t prompt)
{
    const SampleInfo& sample = recording.sample(0);
    const std::int64_t window = recording.layer(0, layer).window;
    const std::int64_t dim = recording.model().headDim;
    std::vector<float> queries(index(prompt * dim));
    std::vector<float> keys(queries.size());
    recording.readVectors(0, layer, VectorArray::Queries, head, 0, prompt, queries);
    recording.readVectors(0, layer, VectorArray::Keys, head / recording.model().groupSize(), 0, prompt, keys);
    std::vector<double> map(index(prompt * prompt), 0.0);
    for (std::int64_t q = 0; q < prompt; ++q) {
        const std::int64_t first = window > 0 ? std::max<std::int64_t>(0, q - window + 1) : 0;
        double sum = 0.0;
        for (std::int64_t k = first; k <= q; ++k) {
            double dot = 0.0;
            for (std::int64_t i = 0; i < dim; ++i) {
                dot += static_cast<double>(queries[index(q * dim + i)]) * static_cast<double>(keys[index(k * dim + i)]);
            }
            map[index(q * prompt + k)] = std::exp(sample.softmaxScale * dot);
            sum += map[index(q * prompt + k)];
        }
        for (std::int64_t k = first; k <= q; ++k) {
            map[index(q * prompt + k)] /= sum;
        }
    }
    return map;
}

/// One cell of a level: maximum and mean over the cells of the causal window.
std::pair<double, double> referenceCell(const std::vector<double>& map, std::int64_t prompt, std::int64_t window,
    std::int64_t factor, std::int64_t row, std::int64_t column)
{
    double largest = 0.0;
    double sum = 0.0;
    std::int64_t cells = 0;
    for (std::int64_t q = row * factor; q < std::min(prompt, (row + 1) * factor); ++q) {
        for (std::int64_t k = column * factor; k < std::min(prompt, (column + 1) * factor); ++k) {
            if (k <= q && (window == 0 || k > q - window)) {
                largest = std::max(largest, map[index(q * prompt + k)]);
                sum += map[index(q * prompt + k)];
                ++cells;
            }
        }
    }
    return {largest, cells > 0 ? sum / static_cast<double>(cells) : 0.0};
}

struct TilesCase {
    RecordKind kind;
    std::int64_t prompt;
    std::int64_t window;
    std::int64_t generated = 0;
};

class AttentionTilesTest : public testing::TestWithParam<TilesCase> { };

/// Every tile of a level against the definition.
void compareLevel(const Recording& recording, AttentionTiles& tiles, int head, int level, MapExtent extent)
{
    const SampleInfo& sample = recording.sample(0);
    const std::int64_t tokens = extent == MapExtent::Prompt ? sample.promptTokens : sample.totalTokens;
    const auto map = referenceMap(recording, 0, head, tokens);
    const std::int64_t factor = std::int64_t{1} << level;
    const std::int64_t count = ((tokens + factor - 1) / factor + edge - 1) / edge;
    for (std::int64_t row = 0; row < count; ++row) {
        for (std::int64_t column = 0; column < count; ++column) {
            const auto largest = tiles.read({0, 0, head, level, Pooling::Max, row, column, extent});
            const auto mean = tiles.read({0, 0, head, level, Pooling::Mean, row, column, extent});
            for (std::int64_t r = 0; r < edge; ++r) {
                for (std::int64_t c = 0; c < edge; ++c) {
                    const auto [expectedMax, expectedMean] = referenceCell(
                        map, tokens, recording.layer(0, 0).window, factor, row * edge + r, column * edge + c);
                    const auto at = index(r * edge + c);
                    const double foundMax = static_cast<double>(halfToFloat(largest[at]));
                    const double foundMean = static_cast<double>(halfToFloat(mean[at]));
                    ASSERT_NEAR(foundMax, expectedMax, expectedMax * 0x1p-11 + 2e-5)
                        << "level " << level << " cell " << row * edge + r << ", " << column * edge + c;
                    // A mean may be a mean of rounded means.
                    ASSERT_NEAR(foundMean, level == 0 ? expectedMax : expectedMean, expectedMax * 0x1p-10 + 2e-5)
                        << "level " << level << " cell " << row * edge + r << ", " << column * edge + c;
                }
            }
        }
    }
    EXPECT_THROW(tiles.read({0, 0, head, level, Pooling::Max, count, 0, extent}), RecordingError);
}

TEST_P(AttentionTilesTest, GivesEveryTileOfEveryLevelAsTheDefinitionDoes)
{
    const auto [kind, prompt, window, generated] = GetParam();
    const TemporaryFolder folder;
    SyntheticRecording options;
    options.layers = 1;
    options.heads = 2;
    options.kvHeads = 1;
    options.headDim = 16;
    options.promptTokens = prompt;
    options.generatedTokens = generated;
    options.window = window;
    options.kind = kind;
    makeRecording(folder.path() / "r.h5", options);
    const Recording recording = Recording::open(folder.path() / "r.h5");
    AttentionTiles tiles(recording);
    constexpr int head = 1;
    ASSERT_TRUE(tiles.available(0, 0, head));
    EXPECT_FALSE(tiles.available(0, 0, 2));
    EXPECT_FALSE(tiles.available(0, 1, 0));
    const int coarsest = tiles.coarsestLevel(0);
    EXPECT_LE(prompt, edge << coarsest);
    EXPECT_TRUE(coarsest == 0 || prompt > edge << (coarsest - 1));
    for (const MapExtent extent : {MapExtent::Prompt, MapExtent::AllTokens})
        for (int level = 0; level <= coarsest + 2; ++level)
            compareLevel(recording, tiles, head, level, extent);

    const auto map = referenceMap(recording, 0, head, prompt);
    for (const std::int64_t query : {std::int64_t{0}, prompt / 2, prompt - 1}) {
        const auto row = tiles.row(0, 0, head, query);
        ASSERT_EQ(std::ssize(row), prompt);
        for (std::int64_t key = 0; key < prompt; ++key) {
            const double expected = map[index(query * prompt + key)];
            ASSERT_NEAR(static_cast<double>(row[index(key)]), expected, 2e-5);
            ASSERT_EQ(tiles.cell(0, 0, head, query, key), row[index(key)]);
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Recordings, AttentionTilesTest,
    testing::Values(TilesCase{RecordKind::Full, 700, 0}, TilesCase{RecordKind::QueriesKeys, 700, 0},
        TilesCase{RecordKind::QueriesKeys, 1100, 150}, TilesCase{RecordKind::Full, 600, 90},
        TilesCase{RecordKind::QueriesKeys, 37, 0}, TilesCase{RecordKind::Full, 257, 0},
        TilesCase{RecordKind::Full, 500, 0, 30}, TilesCase{RecordKind::QueriesKeys, 300, 0, 260},
        TilesCase{RecordKind::Full, 250, 70, 10}),
    [](const auto& test) {
        return std::string(test.param.kind == RecordKind::Full ? "Full" : "QueriesKeys")
            + std::to_string(test.param.prompt) + "Window" + std::to_string(test.param.window) + "Generated"
            + std::to_string(test.param.generated);
    });

TEST(AttentionTiles, PoolsMaximaExactlySoThatNoSinkDisappears)
{
    const TemporaryFolder folder;
    SyntheticRecording options;
    options.layers = 1;
    options.promptTokens = 900;
    makeRecording(folder.path() / "r.h5", options);
    const Recording recording = Recording::open(folder.path() / "r.h5");
    AttentionTiles tiles(recording);
    for (int level = 1; level <= 2; ++level) {
        const auto pooled = tiles.read({0, 0, 0, level, Pooling::Max, 0, 0});
        for (std::int64_t r = 0; r < std::min<std::int64_t>(edge, (900 >> level) + 1); r += 7) {
            for (std::int64_t c = 0; c <= std::min<std::int64_t>(r, 4); ++c) {
                Half expected = 0;
                for (std::int64_t q = r << level; q < std::min<std::int64_t>(900, (r + 1) << level); ++q) {
                    const auto base = tiles.read({0, 0, 0, 0, Pooling::Max, q / edge, (c << level) / edge});
                    for (std::int64_t k = c << level; k < (c + 1) << level; ++k) {
                        expected = std::max(expected, base[index(q % edge * edge + k % edge)]);
                    }
                }
                ASSERT_EQ(pooled[index(r * edge + c)], expected) << level << ": " << r << ", " << c;
            }
        }
    }
}

TEST(AttentionTiles, ServesGeneratedQueriesByTheCell)
{
    const TemporaryFolder folder;
    SyntheticRecording options;
    options.layers = 1;
    options.promptTokens = 100;
    options.generatedTokens = 5;
    makeRecording(folder.path() / "r.h5", options);
    const Recording recording = Recording::open(folder.path() / "r.h5");
    AttentionTiles tiles(recording);
    const auto row = recording.readDecodeRow(0, 0, 3, 4);
    for (std::int64_t key = 0; key < 105; ++key) {
        ASSERT_NEAR(tiles.cell(0, 0, 3, 104, key), halfToFloat(row[index(key)]), 3e-4F) << key;
    }
    EXPECT_TRUE(std::isnan(tiles.cell(0, 0, 3, 105, 0)));
}

TEST(AttentionTiles, GivesBlocksThatCrossTheEndOfThePrompt)
{
    const TemporaryFolder folder;
    SyntheticRecording options;
    options.layers = 1;
    options.promptTokens = 300;
    options.generatedTokens = 9;
    makeRecording(folder.path() / "r.h5", options);
    const Recording recording = Recording::open(folder.path() / "r.h5");
    AttentionTiles tiles(recording);
    const auto map = referenceMap(recording, 0, 2, 309);
    const TokenRange queries{250, 307};
    const TokenRange keys{5, 303};
    const std::vector<float> block = tiles.block(0, 0, 2, queries, keys);
    ASSERT_EQ(std::ssize(block), queries.size() * keys.size());
    for (std::int64_t query = queries.begin; query < queries.end; ++query) {
        for (std::int64_t key = keys.begin; key < keys.end; ++key) {
            ASSERT_NEAR(static_cast<double>(block[index((query - queries.begin) * keys.size() + key - keys.begin)]),
                map[index(query * 309 + key)], 2e-5)
                << query << ", " << key;
        }
    }
    EXPECT_THROW(tiles.block(0, 0, 2, {0, 310}, {0, 1}), RecordingError);
    EXPECT_THROW(tiles.block(0, 0, 2, {0, 1}, {-1, 1}), RecordingError);
    const std::vector<float> row = tiles.row(0, 0, 2, 305);
    ASSERT_EQ(row.size(), 309U);
    EXPECT_NEAR(static_cast<double>(row[301]), map[index(305 * 309 + 301)], 2e-5);
}

TEST(AttentionTiles, SaysWhatIsMissing)
{
    const TemporaryFolder folder;
    SyntheticRecording options;
    options.layers = 1;
    options.promptTokens = 600;
    options.kind = RecordKind::Statistics;
    makeRecording(folder.path() / "r.h5", options);
    const Recording recording = Recording::open(folder.path() / "r.h5");
    AttentionTiles tiles(recording);
    EXPECT_FALSE(tiles.available(0, 0, 0));
    EXPECT_THROW(tiles.read({0, 0, 0, 0, Pooling::Max, 0, 0}), RecordingError);
    EXPECT_NO_THROW(tiles.read({0, 0, 0, 2, Pooling::Max, 0, 0})) << "the stored pyramid";
    EXPECT_NO_THROW(tiles.read({0, 0, 0, 4, Pooling::Max, 0, 0})) << "pooled from it";
    EXPECT_THROW(tiles.read({0, 0, 0, 2, Pooling::Max, 1, 0}), RecordingError);
    EXPECT_TRUE(std::isnan(tiles.cell(0, 0, 0, 5, 3)));
    EXPECT_TRUE(tiles.row(0, 0, 0, 5).empty());
}

} // namespace
} // namespace kvloupe
