// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/recording/tile_pyramid.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace kvloupe {
namespace {

std::size_t index(std::int64_t value)
{
    return static_cast<std::size_t>(value);
}

TEST(CausalCells, CountWhatTheDefinitionCounts)
{
    for (const std::int64_t tokens : {1, 7, 16, 37}) {
        for (const std::int64_t window : {0, 1, 5, 40}) {
            for (const std::int64_t factor : {1, 2, 4, 16}) {
                const std::int64_t edge = (tokens + factor - 1) / factor;
                for (std::int64_t row = 0; row < edge; ++row) {
                    for (std::int64_t column = 0; column < edge; ++column) {
                        std::int64_t expected = 0;
                        for (std::int64_t q = row * factor; q < std::min(tokens, (row + 1) * factor); ++q) {
                            for (std::int64_t k = column * factor; k < std::min(tokens, (column + 1) * factor); ++k) {
                                expected += k <= q && (window == 0 || k > q - window) ? 1 : 0;
                            }
                        }
                        ASSERT_EQ(causalCells(row, column, factor, tokens, window), expected)
                            << tokens << " tokens, window " << window << ", factor " << factor << ", block " << row
                            << " " << column;
                    }
                }
            }
        }
    }
}

TEST(BlockPyramid, HoldsMaximaAndSumsOfEveryLevelWithItsEdges)
{
    std::mt19937 random(5);
    std::uniform_real_distribution<float> uniform(0.0F, 1.0F);
    for (const std::int64_t rows : {1, 5, 64, 256}) {
        for (const std::int64_t columns : {1, 13, 16, 250, 700}) {
            const std::int64_t stride = (columns + 15) / 16 * 16;
            std::vector<float> cells(index(rows * stride));
            for (std::int64_t r = 0; r < rows; ++r) {
                for (std::int64_t c = 0; c < columns; ++c) {
                    cells[index(r * stride + c)] = uniform(random);
                }
            }
            BlockPyramid pyramid;
            constexpr int levels = 8;
            // Built twice: what a bigger block left behind must not show.
            pyramid.build(std::vector<float>(256 * 1024, 9.0F), 256, 1024, 1024, levels);
            pyramid.build(cells, rows, columns, stride, levels);
            for (int level = 1; level <= levels; ++level) {
                const std::int64_t factor = std::int64_t{1} << level;
                ASSERT_EQ(pyramid.rows(level), (rows + factor - 1) / factor);
                ASSERT_EQ(pyramid.columns(level), (columns + factor - 1) / factor);
                for (std::int64_t r = 0; r < pyramid.rows(level); ++r) {
                    for (std::int64_t c = 0; c < pyramid.columns(level); ++c) {
                        float maximum = 0;
                        double sum = 0;
                        for (std::int64_t i = r * factor; i < std::min(rows, (r + 1) * factor); ++i) {
                            for (std::int64_t j = c * factor; j < std::min(columns, (c + 1) * factor); ++j) {
                                maximum = std::max(maximum, cells[index(i * stride + j)]);
                                sum += static_cast<double>(cells[index(i * stride + j)]);
                            }
                        }
                        ASSERT_EQ(pyramid.maximum(level, r)[index(c)], maximum)
                            << "level " << level << " cell " << r << " " << c;
                        ASSERT_NEAR(pyramid.sum(level, r)[index(c)], sum, 1e-5 * std::max(1.0, sum));
                    }
                }
            }
        }
    }
}

} // namespace
} // namespace kvloupe
