// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/cuda/attention_cells_block.h"
#include "core/attention/attention_rows.h"
#include "host_warp.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace kvloupe::cuda {
namespace {

std::size_t at(std::int64_t value)
{
    return static_cast<std::size_t>(value);
}

/// Against core's attention_rows, with statistics of its own forward rows: columns and rows that end in the middle of a
/// tile, a window, and a second head of a group.
void expectTiles(int rows, int window, int rowBegin, int tileRows, int keyBegin, int columns)
{
    constexpr int dim = 64;
    constexpr int heads = 2;
    using Tiling = AttentionTiling<float, dim>;
    std::mt19937_64 random(5);
    std::normal_distribution<float> normal;
    std::vector<float> queries(at(heads * rows * dim));
    std::vector<float> keys(at(rows * dim));
    std::ranges::generate(queries, [&] { return normal(random) * 2.0F; });
    std::ranges::generate(keys, [&] { return normal(random) * 2.0F; });

    const AttentionShape shape{.scale = 0.125F, .window = window};
    const PackedKeys packed(keys, dim);
    const std::int64_t stride = (rows + 15) / 16 * 16;
    std::vector<float> logSumExp;
    for (int h = 0; h < heads; ++h) {
        std::vector<float> probabilities(at(rows * stride));
        std::vector<RowStatistics> statistics(at(rows));
        attention_rows::softmaxRows(
            std::span(queries).subspan(at(h * rows * dim)), packed, 0, rows, shape, probabilities, stride, statistics);
        for (const RowStatistics& row : statistics)
            logSumExp.push_back(row.logSumExp);
    }

    AttentionInput<float> input;
    input.queries = queries.data();
    input.keys = keys.data();
    input.queryHeadStride = std::int64_t{rows} * dim;
    input.queryRowStride = input.keyRowStride = dim;
    input.rows = rows;
    input.window = window;
    input.headsPerKvHead = heads;
    input.scale = shape.scale;
    std::vector<float> cells(at(tileRows * columns), -7.0F);
    const CellsRequest<float> request{
        logSumExp.data(), 1, rowBegin, tileRows, keyBegin, columns, cells.data(), columns};
    runGrid<Tiling::Shared>(
        {(tileRows + Tiling::blockRows - 1) / Tiling::blockRows, (columns + Tiling::keys - 1) / Tiling::keys, 1},
        Tiling::warps, false,
        [&](HostWarp& warp, Tiling::Shared& shared) { attentionCells<Tiling>(warp, input, request, shared); });

    const int paddedColumns = (columns + 15) / 16 * 16;
    std::vector<float> expected(at(tileRows * paddedColumns));
    attention_rows::tile(std::span(queries).subspan(at((rows + rowBegin) * dim), at(tileRows * dim)), packed, rowBegin,
        tileRows, keyBegin, paddedColumns, shape, std::span(logSumExp).subspan(at(rows + rowBegin)), expected);
    for (int r = 0; r < tileRows; ++r) {
        for (int c = 0; c < columns; ++c) {
            const float cell = expected[at(r * paddedColumns + c)];
            EXPECT_NEAR(cells[at(r * columns + c)], cell, cell * 2e-6F) << r << " " << c;
        }
    }
}

TEST(AttentionCells, AreThoseOfAttentionRows)
{
    expectTiles(200, 0, 0, 200, 0, 200);
    expectTiles(200, 0, 64, 100, 32, 90);
    expectTiles(150, 40, 10, 140, 0, 150);
    expectTiles(150, 40, 100, 50, 64, 86);
}

} // namespace
} // namespace kvloupe::cuda
