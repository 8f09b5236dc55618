// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace kvloupe {

/// What needs the cells of a row in order of size.
struct RowOrder {
    static constexpr std::array<std::int64_t, 3> topCounts{1, 8, 64};

    float gini = 0.0F; ///< 0 = even over the visible keys, towards 1 = on one key
    std::array<float, topCounts.size()> topMass{}; ///< probability on the 1, 8, 64 largest cells
};

/// Of the visible cells of one softmax row, which are sorted in place. Gini = sum((2 i - n - 1) p_i) / (n sum p), p
/// ascending, i from 1.
RowOrder rowOrder(std::span<float> cells);

} // namespace kvloupe
