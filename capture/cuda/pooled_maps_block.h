// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/cuda/execution.h"

#include <cstdint>

namespace kvloupe::cuda {

/// From the pooled cells of AttentionOutput to those of a coarser level, as a recording stores them: binary16 maxima
/// and means over the visible cells, 0 where there are none. `factor` is a multiple of `poolFactor`, both powers of
/// two.
struct PooledMapsInput {
    const float* pooledMaximum; ///< [heads, ceil(tokens / poolFactor), same]
    const float* pooledSum;
    int poolFactor;
    int factor;
    int tokens;
    int window;
    std::uint16_t* maximum; ///< [heads, ceil(tokens / factor), same]
    std::uint16_t* mean;
};

/// Cells of [queryBegin, queryEnd) x [keyBegin, keyEnd) that are visible.
KVLOUPE_DEVICE std::int64_t visibleCells(int queryBegin, int queryEnd, int keyBegin, int keyEnd, int window)
{
    std::int64_t cells = 0;
    for (int query = queryBegin; query < queryEnd; ++query) {
        const int windowBegin = window > 0 ? query - window + 1 : 0;
        const int first = windowBegin > keyBegin ? windowBegin : keyBegin;
        const int end = query + 1 < keyEnd ? query + 1 : keyEnd;
        cells += end > first ? end - first : 0;
    }
    return cells;
}

/// Whether there are any of them: what holds none was never written.
KVLOUPE_DEVICE bool anyVisible(int queryBegin, int queryEnd, int keyBegin, int keyEnd, int window)
{
    const int firstQuery = queryBegin > keyBegin ? queryBegin : keyBegin;
    return keyBegin < queryEnd && (window == 0 || keyEnd - 1 > firstQuery - window);
}

/// One lane per cell, sums row by row. Grid: x = columns / lanes of a block, y = rows, z = heads.
template <typename Warp> KVLOUPE_DEVICE void finishPooledMaps(Warp& warp, const PooledMapsInput& input)
{
    const auto divided = [&](int by) { return (input.tokens + by - 1) / by; };
    const auto bounded = [&](int value) { return value < input.tokens ? value : input.tokens; };
    const int edge = divided(input.factor);
    const int fineEdge = divided(input.poolFactor);
    const int ratio = input.factor / input.poolFactor;
    const int row = warp.block(1);
    const std::int64_t head = warp.block(2);
    warp.lanes([&](int lane) {
        const int column = (warp.block(0) * warp.count() + warp.index()) * warpLanes + lane;
        if (column >= edge)
            return;
        float maximum = 0.0F;
        float sum = 0.0F;
        for (int fineRow = row * ratio; fineRow < fineEdge && fineRow < (row + 1) * ratio; ++fineRow) {
            for (int fineColumn = column * ratio; fineColumn < fineEdge && fineColumn < (column + 1) * ratio;
                 ++fineColumn) {
                const int query = fineRow * input.poolFactor;
                const int key = fineColumn * input.poolFactor;
                if (!anyVisible(
                        query, bounded(query + input.poolFactor), key, bounded(key + input.poolFactor), input.window))
                    continue;
                const std::int64_t at = (head * fineEdge + fineRow) * fineEdge + fineColumn;
                const float cell = input.pooledMaximum[at];
                maximum = cell > maximum ? cell : maximum;
                sum += input.pooledSum[at];
            }
        }
        const int query = row * input.factor;
        const int key = column * input.factor;
        const std::int64_t cells
            = visibleCells(query, bounded(query + input.factor), key, bounded(key + input.factor), input.window);
        const float mean = cells > 0 ? sum / static_cast<float>(cells) : 0.0F;
        const std::uint32_t halves = Warp::template pack<Float16>(maximum, mean);
        const std::int64_t at = (head * edge + row) * edge + column;
        input.maximum[at] = static_cast<std::uint16_t>(halves & 0xffffU);
        input.mean[at] = static_cast<std::uint16_t>(halves >> 16);
    });
}

} // namespace kvloupe::cuda
