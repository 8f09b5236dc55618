// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace kvloupe {

/// Number of cells with key <= query (and key > query - window, if a window is set) in the block of `factor` x `factor`
/// cells at (row, column) of a pyramid level over `tokens` x `tokens` cells; edges count true cells only.
std::int64_t causalCells(
    std::int64_t row, std::int64_t column, std::int64_t factor, std::int64_t tokens, std::int64_t window);

/// Pools two rows of cells 2 x 2: maxima of `maximum0/1` and sums of `sum0/1`, all of 2 * n floats, into n floats each.
void poolPairs(std::span<const float> maximum0, std::span<const float> maximum1, std::span<const float> sum0,
    std::span<const float> sum1, std::span<float> maximum, std::span<float> sum);

/// Maximum and sum of 2^l x 2^l cells of a block of rows of one map, for every l up to a limit. The block starts at a
/// multiple of 2^limit; cells outside the causal window hold 0. Reused between blocks: one per thread.
class BlockPyramid {
public:
    /// Pools `rows` rows of `columns` cells each, `stride` floats apart; cells in [columns, columns rounded up to 16)
    /// are readable and 0.
    void build(std::span<const float> cells, std::int64_t rows, std::int64_t columns, std::int64_t stride, int levels);

    std::int64_t rows(int level) const { return m_levels[static_cast<std::size_t>(level - 1)].rows; }
    std::int64_t columns(int level) const { return m_levels[static_cast<std::size_t>(level - 1)].columns; }
    /// Row of level 1, 2, ...: [columns(level)].
    std::span<const float> maximum(int level, std::int64_t row) const;
    std::span<const float> sum(int level, std::int64_t row) const;

private:
    struct Level {
        std::int64_t rows = 0;
        std::int64_t columns = 0;
        std::int64_t stride = 0; ///< even, so that the next level reads whole pairs; the padding is 0
        std::vector<float> maximum;
        std::vector<float> sum;
    };
    std::vector<Level> m_levels;
    std::vector<float> m_zeros;
};

} // namespace kvloupe
