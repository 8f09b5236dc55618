// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/cuda/attention_io.h"

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace kvloupe::cuda {

/// How attention is cut up for elements of a type and a head dimension: a block of `warps` warps takes `blockRows`
/// query rows of one head and `keys` keys at a time. Rows in shared memory are 16 bytes longer than a vector, so that
/// neither ldmatrix nor 16-byte loads of neighbouring rows meet in a bank.
template <typename ElementType, int headDimension> struct AttentionTiling {
    using Element = ElementType;
    static constexpr int headDim = headDimension;
    static constexpr bool tensorCores = !std::is_same_v<Element, float>;
    static constexpr int warps = 4;
    static constexpr int rowTiles = tensorCores && headDim <= 128 ? 2 : 1; ///< of 16 rows, per warp
    static constexpr int warpRows = 16 * rowTiles;
    static constexpr int blockRows = warps * warpRows;
    static constexpr int keys = headDim <= 128 ? 64 : 32;
    static constexpr int keyTiles = keys / 8; ///< of 8 keys
    static constexpr int vectorElements = 16 / static_cast<int>(sizeof(Element)); ///< per 16 bytes
    static constexpr int stride = headDim + vectorElements;
    /// Room of a warp for 16 rows of weights: floats for the float product, halves on their way to map tiles.
    static constexpr int weightStride = keys + 4;
    static constexpr int halfStride = keys + 8;
    static constexpr int weightFloats = 16 * (tensorCores ? halfStride / 2 : weightStride);
    static_assert(headDim % 16 == 0);

    struct Shared {
        alignas(16) Element queries[blockRows * stride];
        alignas(16) Element tiles[2][keys * stride];
        alignas(16) float weights[warps][weightFloats];
        float columnSums[warps][keys];
        float rowMaximum[blockRows]; ///< of the logits, times the unit of power()
        float rowScale[blockRows]; ///< 1 / sum of power(), 0 for rows after the last
        /// Of each lane's columns the sum of p log(p sum), in units of power().
        float weighted[rowTiles][2][warps][warpLanes];
    };
};

/// Logits or weights of the rows of a warp for the keys of a tile.
template <typename Warp, typename Tiling> struct Cells {
    typename Warp::template Value<Accumulator> at[Tiling::rowTiles][Tiling::keyTiles];
};

/// Row of lane and register pair (0 or 1) within 16 rows, and the first of its two columns within 8.
KVLOUPE_DEVICE int rowOfLane(int lane, int pair)
{
    return lane / 4 + 8 * pair;
}
KVLOUPE_DEVICE int columnOfLane(int lane)
{
    return 2 * (lane % 4);
}

/// Begins to copy vectors [begin, begin + count) of a head into shared memory; those at `end` and after it are zeros.
template <typename Tiling, int count, typename Warp>
KVLOUPE_DEVICE void copyVectors(Warp& warp, typename Tiling::Element* to, const typename Tiling::Element* from,
    std::int64_t rowStride, int begin, int end)
{
    constexpr int pieces = Tiling::headDim / Tiling::vectorElements;
    KVLOUPE_NOT_UNROLLED
    for (int first = warp.index() * warpLanes; first < count * pieces; first += Tiling::warps * warpLanes) {
        warp.lanes([&](int lane) {
            const int piece = first + lane;
            if (piece >= count * pieces)
                return;
            const int row = piece / pieces;
            const int column = piece % pieces * Tiling::vectorElements;
            const bool valid = begin + row < end;
            const auto* source = from + (valid ? (begin + row) * rowStride + column : 0);
            warp.copyAsync(lane, to + row * Tiling::stride + column, source, valid);
        });
    }
}

template <typename Warp, typename Tiling> KVLOUPE_DEVICE void clear(Warp& warp, Cells<Warp, Tiling>& cells)
{
    KVLOUPE_UNROLLED
    for (int m = 0; m < Tiling::rowTiles; ++m) {
        KVLOUPE_UNROLLED
        for (int n = 0; n < Tiling::keyTiles; ++n)
            warp.lanes([&](int lane) { cells.at[m][n](lane) = {}; });
    }
}

/// logits = queries keys^T, unscaled. With float a product is one chain of fused multiply-adds over the dimensions in
/// order, the bits of core's attention_rows.
template <typename Tiling, typename Warp>
KVLOUPE_DEVICE void multiplyKeys(Warp& warp, const typename Tiling::Element* queries,
    const typename Tiling::Element* keys, Cells<Warp, Tiling>& logits)
{
    using Element = typename Tiling::Element;
    clear(warp, logits);
    const Element* rows = queries + warp.index() * Tiling::warpRows * Tiling::stride;
    if constexpr (Tiling::tensorCores) {
        KVLOUPE_UNROLLED
        for (int step = 0; step < Tiling::headDim / 16; ++step) {
            typename Warp::template Value<Words> a[Tiling::rowTiles];
            KVLOUPE_UNROLLED
            for (int m = 0; m < Tiling::rowTiles; ++m)
                warp.template loadMatrices<false>(a[m],
                    [&](int lane) { return rows + (m * 16 + lane % 16) * Tiling::stride + step * 16 + lane / 16 * 8; });
            KVLOUPE_UNROLLED
            for (int n = 0; n < Tiling::keyTiles; n += 2) {
                typename Warp::template Value<Words> b; // keys 8 n .. 8 n + 7 in two words, the next 8 in the others
                warp.template loadMatrices<false>(b, [&](int lane) {
                    return keys + (n * 8 + lane % 8 + lane / 16 * 8) * Tiling::stride + step * 16 + lane / 8 % 2 * 8;
                });
                KVLOUPE_UNROLLED
                for (int m = 0; m < Tiling::rowTiles; ++m) {
                    warp.template multiply<Element, 0>(logits.at[m][n], a[m], b);
                    warp.template multiply<Element, 2>(logits.at[m][n + 1], a[m], b);
                }
            }
        }
    } else {
        struct alignas(16) Four {
            float x[4];
        };
        static_assert(Tiling::rowTiles == 1);
        warp.lanes([&](int lane) {
            for (int d = 0; d < Tiling::headDim; d += 4) {
                Four q[2];
                KVLOUPE_UNROLLED
                for (int pair = 0; pair < 2; ++pair)
                    q[pair] = *reinterpret_cast<const Four*>(rows + rowOfLane(lane, pair) * Tiling::stride + d);
                KVLOUPE_UNROLLED
                for (int n = 0; n < Tiling::keyTiles; ++n) {
                    KVLOUPE_UNROLLED
                    for (int c = 0; c < 2; ++c) {
                        const Four k = *reinterpret_cast<const Four*>(
                            keys + (n * 8 + columnOfLane(lane) + c) * Tiling::stride + d);
                        KVLOUPE_UNROLLED
                        for (int i = 0; i < 4; ++i) {
                            float(&x)[4] = logits.at[0][n](lane).x;
                            x[c] = __builtin_fmaf(q[0].x[i], k.x[i], x[c]);
                            x[2 + c] = __builtin_fmaf(q[1].x[i], k.x[i], x[2 + c]);
                        }
                    }
                }
            }
        });
    }
}

/// Keys of a tile [keyBegin, + keys) as rows [rowBegin, ...) of a warp see them.
struct TileMask {
    int rowBegin; ///< position of the warp's first row
    int keyBegin;
    int end; ///< positions from here on do not exist
    int window;

    KVLOUPE_DEVICE bool visible(int row, int key) const
    {
        return key <= row && row < end && (window == 0 || key > row - window);
    }
    /// Whether there is anything to hide.
    KVLOUPE_DEVICE bool hides(int rows, int keys) const
    {
        const int lastRow = rowBegin + rows - 1;
        return keyBegin + keys - 1 > rowBegin || lastRow >= end || (window > 0 && keyBegin <= lastRow - window);
    }
};

/// Puts `hidden` where a row does not see a key.
template <typename Tiling, typename Warp>
KVLOUPE_DEVICE void hideCells(Warp& warp, const TileMask& mask, float hidden, Cells<Warp, Tiling>& cells)
{
    if (!mask.hides(Tiling::warpRows, Tiling::keys))
        return;
    KVLOUPE_UNROLLED
    for (int m = 0; m < Tiling::rowTiles; ++m) {
        KVLOUPE_UNROLLED
        for (int n = 0; n < Tiling::keyTiles; ++n) {
            warp.lanes([&](int lane) {
                KVLOUPE_UNROLLED
                for (int i = 0; i < 4; ++i) {
                    const int row = mask.rowBegin + m * 16 + rowOfLane(lane, i / 2);
                    const int key = mask.keyBegin + n * 8 + columnOfLane(lane) + i % 2;
                    if (!mask.visible(row, key))
                        cells.at[m][n](lane).x[i] = hidden;
                }
            });
        }
    }
}

/// Keys that a block of rows [rowBegin, rowBegin + rows) looks at, positions, in whole tiles.
template <typename Tiling> struct KeyRange {
    int begin;
    int end;

    KVLOUPE_DEVICE KeyRange(int rowBegin, int rows, int total, int window)
    {
        const int first = window > 0 && rowBegin >= window ? rowBegin - window + 1 : 0;
        const int last = rowBegin + rows < total ? rowBegin + rows : total;
        begin = first / Tiling::keys * Tiling::keys;
        end = rowBegin < total ? (last + Tiling::keys - 1) / Tiling::keys * Tiling::keys : begin;
    }
};

} // namespace kvloupe::cuda
