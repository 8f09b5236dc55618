// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/cuda/attention_tiling.h"

#include <cmath>

namespace kvloupe::cuda {

/// Cells of the map from queries, keys and recorded log-sum-exps, float32: rows [rowBegin, + rows) of the input and
/// columns [keyBegin, + columns), 0 where a row does not see a key. The twin of core's attention_rows::tile.
template <typename Element> struct CellsRequest {
    const float* logSumExp; ///< [heads, rows of the input]
    int headBegin;
    int rowBegin;
    int rows;
    int keyBegin; ///< a multiple of 8
    int columns;
    float* cells; ///< [heads of the launch, rows, stride]
    std::int64_t stride;
};

/// Grid: x = rows / blockRows, y = columns / keys of a tile, z = heads of the launch.
template <typename Tiling, typename Warp>
KVLOUPE_DEVICE void attentionCells(Warp& warp, const AttentionInput<typename Tiling::Element>& input,
    const CellsRequest<typename Tiling::Element>& request, typename Tiling::Shared& shared)
{
    const int head = request.headBegin + warp.block(2);
    const int blockRow = warp.block(0) * Tiling::blockRows;
    const int firstRow = request.rowBegin + blockRow;
    const int keyBegin = request.keyBegin + warp.block(1) * Tiling::keys;
    copyVectors<Tiling, Tiling::blockRows>(
        warp, shared.queries, input.queries + head * input.queryHeadStride, input.queryRowStride, firstRow, input.rows);
    copyVectors<Tiling, Tiling::keys>(warp, shared.tiles[0],
        input.keys + head / input.headsPerKvHead * input.keyHeadStride, input.keyRowStride, keyBegin, input.keyCount());
    warp.commitCopies();
    warp.waitCopies();
    warp.barrier();
    Cells<Warp, Tiling> cells;
    multiplyKeys<Tiling>(warp, shared.queries, shared.tiles[0], cells);
    const int warpRow = blockRow + warp.index() * Tiling::warpRows;
    const TileMask mask{input.past + request.rowBegin + warpRow, keyBegin, input.keyCount(), input.window};
    hideCells<Tiling>(warp, mask, -INFINITY, cells);
    const float* logSumExp = request.logSumExp + static_cast<std::int64_t>(head) * input.rows + request.rowBegin;
    float* out = request.cells + static_cast<std::int64_t>(warp.block(2)) * request.rows * request.stride;
    KVLOUPE_UNROLLED
    for (int m = 0; m < Tiling::rowTiles; ++m) {
        KVLOUPE_UNROLLED
        for (int pair = 0; pair < 2; ++pair) {
            warp.lanes([&](int lane) {
                const int row = warpRow + m * 16 + rowOfLane(lane, pair);
                if (row >= request.rows)
                    return;
                const float offset = -logSumExp[row];
                KVLOUPE_UNROLLED
                for (int n = 0; n < Tiling::keyTiles; ++n) {
                    KVLOUPE_UNROLLED
                    for (int c = 0; c < 2; ++c) {
                        const int column = keyBegin - request.keyBegin + n * 8 + columnOfLane(lane) + c;
                        const float logit = cells.at[m][n](lane).x[2 * pair + c];
                        if (column < request.columns)
                            out[row * request.stride + column]
                                = Warp::template power<float>(__builtin_fmaf(logit, input.scale, offset));
                    }
                }
            });
        }
    }
}

} // namespace kvloupe::cuda
