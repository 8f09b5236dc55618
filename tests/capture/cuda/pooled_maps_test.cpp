// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/cuda/pooled_maps_block.h"
#include "core/recording/tile_pyramid.h"
#include "host_warp.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace kvloupe::cuda {
namespace {

struct Nothing { };

std::size_t at(std::int64_t value)
{
    return static_cast<std::size_t>(value);
}

TEST(PooledMaps, CountVisibleCellsAsTheRecorderDoes)
{
    for (const int tokens : {1, 30, 64, 77}) {
        for (const int window : {0, 1, 5, 16, 40}) {
            for (const int factor : {1, 2, 4, 16}) {
                const int edge = (tokens + factor - 1) / factor;
                for (int row = 0; row < edge; ++row) {
                    for (int column = 0; column < edge; ++column) {
                        const int queryEnd = std::min(tokens, (row + 1) * factor);
                        const int keyEnd = std::min(tokens, (column + 1) * factor);
                        const std::int64_t cells
                            = visibleCells(row * factor, queryEnd, column * factor, keyEnd, window);
                        EXPECT_EQ(cells, causalCells(row, column, factor, tokens, window));
                        EXPECT_EQ(anyVisible(row * factor, queryEnd, column * factor, keyEnd, window), cells > 0);
                    }
                }
            }
        }
    }
}

/// From the cells themselves, poisoned where nothing is visible: maxima and means of the level above.
TEST(PooledMaps, AreMaximaAndMeansOfVisibleCells)
{
    std::mt19937_64 random(2);
    std::uniform_real_distribution<float> uniform(0.0F, 1.0F);
    constexpr int heads = 2;
    constexpr int tokens = 83;
    for (const int window : {0, 20}) {
        for (const int fine : {1, 2, 4}) {
            for (const int factor : {4, 16}) {
                const int fineEdge = (tokens + fine - 1) / fine;
                const int edge = (tokens + factor - 1) / factor;
                std::vector<float> cells(at(heads * tokens * tokens));
                std::vector<float> maxima(at(heads * fineEdge * fineEdge), -1e9F);
                std::vector<float> sums(maxima.size(), -1e9F);
                for (int h = 0; h < heads; ++h) {
                    for (int q = 0; q < tokens; ++q) {
                        for (int k = window > 0 ? std::max(0, q - window + 1) : 0; k <= q; ++k) {
                            const float cell = uniform(random);
                            cells[at((h * tokens + q) * tokens + k)] = cell;
                            const auto i = at((h * fineEdge + q / fine) * fineEdge + k / fine);
                            sums[i] = maxima[i] < 0.0F ? cell : sums[i] + cell;
                            maxima[i] = std::max(maxima[i], cell);
                        }
                    }
                }
                std::vector<std::uint16_t> maximum(at(heads * edge * edge), 0xffff);
                std::vector<std::uint16_t> mean = maximum;
                const PooledMapsInput input{
                    maxima.data(), sums.data(), fine, factor, tokens, window, maximum.data(), mean.data()};
                runGrid<Nothing>(
                    {1, edge, heads}, 1, false, [&](HostWarp& warp, Nothing&) { finishPooledMaps(warp, input); });
                for (int h = 0; h < heads; ++h) {
                    for (int row = 0; row < edge; ++row) {
                        for (int column = 0; column < edge; ++column) {
                            float largest = 0.0F;
                            double sum = 0.0;
                            for (int q = row * factor; q < std::min(tokens, (row + 1) * factor); ++q) {
                                for (int k = column * factor; k < std::min(tokens, (column + 1) * factor); ++k) {
                                    largest = std::max(largest, cells[at((h * tokens + q) * tokens + k)]);
                                    sum += static_cast<double>(cells[at((h * tokens + q) * tokens + k)]);
                                }
                            }
                            const std::int64_t count = causalCells(row, column, factor, tokens, window);
                            const auto i = at((h * edge + row) * edge + column);
                            EXPECT_EQ(maximum[i], floatToHalf(largest));
                            EXPECT_NEAR(halfToFloat(mean[i]), count > 0 ? sum / static_cast<double>(count) : 0.0, 3e-4);
                        }
                    }
                }
            }
        }
    }
}

} // namespace
} // namespace kvloupe::cuda
