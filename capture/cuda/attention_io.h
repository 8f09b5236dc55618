// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/cuda/execution.h"

#include <cstdint>

namespace kvloupe::cuda {

/// Queries, keys and values of one layer on the device, all heads. Query row r stands at position past + r and sees
/// keys k <= past + r, with a window also k > past + r - window. Vectors begin at multiples of 16 bytes; strides are in
/// elements.
template <typename Element> struct AttentionInput {
    const Element* queries = nullptr; ///< [heads, rows, head_dim]
    const Element* keys = nullptr; ///< [kv_heads, past + rows, head_dim]
    const Element* values = nullptr; ///< [kv_heads, past + rows, head_dim]; not read where no context is asked for
    std::int64_t queryHeadStride = 0;
    std::int64_t queryRowStride = 0;
    std::int64_t keyHeadStride = 0;
    std::int64_t keyRowStride = 0;
    std::int64_t valueHeadStride = 0;
    std::int64_t valueRowStride = 0;
    int rows = 0;
    int past = 0;
    int window = 0; ///< 0 = global
    int headsPerKvHead = 1;
    float scale = 1.0F; ///< positive

    KVLOUPE_ANYWHERE int keyCount() const { return past + rows; }
};

/// Where attention and what is recorded of it go; null = not wanted. Everything but the context is indexed by head of
/// the launch (the first one is 0).
template <typename Element> struct AttentionOutput {
    Element* context = nullptr; ///< [rows, heads, head_dim] by the strides below
    std::int64_t contextHeadStride = 0;
    std::int64_t contextRowStride = 0;
    float* logSumExp = nullptr; ///< [launch heads, rows], and so the next three; core's RowStatistics
    float* entropy = nullptr;
    float* sinkMass = nullptr;
    float* maximum = nullptr;

    /// [launch heads, blocks of rows, keys]: sums of columns over a block of rows; cells of tiles that the block does
    /// not look at are left alone.
    float* columnSumParts = nullptr;
    /// [launch heads, edge, edge] with edge = ceil(keys / poolFactor): maxima and sums of poolFactor x poolFactor
    /// cells; blocks of cells right of the diagonal's tiles are left alone. Without a past.
    float* pooledMaximum = nullptr;
    float* pooledSum = nullptr;
    int poolFactor = 16; ///< 1, 2, 4 or 16
    /// [launch heads, tiles, 256, 256] binary16, tiles in the order of MapTiles beginning with row mapRowBegin; every
    /// cell is written. Without a past, and the launch's rows begin and end with rows of tiles.
    std::uint16_t* mapTiles = nullptr;
    int mapRowBegin = 0; ///< in tiles
    std::int64_t mapTilesPerHead = 0;

    int headBegin = 0; ///< first head of the launch
    int blockBegin = 0; ///< first block of rows of the launch
    int blocks = 0; ///< blocks of rows of the launch
};

/// Sums the parts of AttentionOutput::columnSumParts over the blocks of rows that see each key, in their order and in
/// double.
struct ColumnSumParts {
    const float* parts; ///< [launch heads, blocks, keys]
    float* columnSums; ///< [launch heads, keys]
    int rows;
    int past;
    int window;
    int blockRows;
};

} // namespace kvloupe::cuda
