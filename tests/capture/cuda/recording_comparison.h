// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/recording/recording.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <span>
#include <vector>

namespace kvloupe::cuda {

inline std::size_t index(std::int64_t value)
{
    return static_cast<std::size_t>(value);
}

inline void expectNear(
    const std::vector<float>& found, const std::vector<float>& expected, float floor, float bound = 1e-5F)
{
    ASSERT_EQ(found.size(), expected.size());
    for (std::size_t i = 0; i < found.size(); ++i)
        ASSERT_NEAR(found[i], expected[i], bound * std::max(std::abs(expected[i]), floor)) << i;
}

/// Half numbers that come from floats nearly the same: equal, or neighbours.
inline void expectNear(std::span<const Half> found, std::span<const Half> expected)
{
    ASSERT_EQ(found.size(), expected.size());
    for (std::size_t i = 0; i < found.size(); ++i)
        ASSERT_LE(std::abs(int{found[i]} - int{expected[i]}), 1) << i;
}

/// Everything that is recorded of a layer of sample 0, floats within `bound` relative.
inline void expectSameLayer(const Recording& found, const Recording& expected, int layer, float bound = 1e-5F)
{
    for (const TokenArray array :
        {TokenArray::RowLogSumExp, TokenArray::ColumnSum, TokenArray::RowEntropy, TokenArray::RowSinkMass,
            TokenArray::RowMax, TokenArray::KeyNorm, TokenArray::RowGini, TokenArray::RowTopMass}) {
        SCOPED_TRACE(tokenArrayName(array));
        ASSERT_EQ(found.has(0, layer, array), expected.has(0, layer, array));
        if (expected.has(0, layer, array))
            expectNear(found.read(0, layer, array), expected.read(0, layer, array),
                array == TokenArray::RowSinkMass ? 1e-4F : 0.1F, bound);
    }
    const int heads = expected.model().numHeads;
    const SampleInfo& sample = expected.sample(0);
    const std::int64_t prompt = sample.promptTokens;
    for (const Pooling pooling : {Pooling::Max, Pooling::Mean}) {
        SCOPED_TRACE(poolingName(pooling));
        expectNear(found.readOverview(0, layer, pooling), expected.readOverview(0, layer, pooling));
        std::vector<Half> a(index(tileSize * tileSize));
        std::vector<Half> b(a.size());
        ASSERT_EQ(found.layer(0, layer).pyramidFactors, expected.layer(0, layer).pyramidFactors);
        for (const int factor : expected.layer(0, layer).pyramidFactors) {
            const std::int64_t tiles = ((prompt + factor - 1) / factor + tileSize - 1) / tileSize;
            for (std::int64_t tile = 0; tile < heads * tiles * tiles; ++tile) {
                const int h = static_cast<int>(tile / (tiles * tiles));
                const std::int64_t row = tile / tiles % tiles;
                ASSERT_EQ(found.readPyramidTile(0, layer, h, factor, pooling, row, tile % tiles, a),
                    expected.readPyramidTile(0, layer, h, factor, pooling, row, tile % tiles, b));
                expectNear(a, b);
            }
        }
    }
    ASSERT_EQ(found.layer(0, layer).mapHeads, expected.layer(0, layer).mapHeads);
    const std::int64_t tiles = (prompt + tileSize - 1) / tileSize;
    for (const int h : expected.layer(0, layer).mapHeads) {
        std::vector<Half> a(index(tileSize * tileSize));
        std::vector<Half> b(a.size());
        for (std::int64_t tile = 0; tile < tiles * tiles; ++tile) {
            ASSERT_EQ(found.readMapTile(0, layer, h, tile / tiles, tile % tiles, a),
                expected.readMapTile(0, layer, h, tile / tiles, tile % tiles, b));
            expectNear(a, b);
        }
        for (std::int64_t generated = 0; generated < sample.totalTokens - prompt; ++generated)
            expectNear(found.readDecodeRow(0, layer, h, generated), expected.readDecodeRow(0, layer, h, generated));
    }
    if (expected.layer(0, layer).hasTail)
        expectNear(found.readTail(0, layer), expected.readTail(0, layer), 1e-4F, bound);
}

} // namespace kvloupe::cuda
