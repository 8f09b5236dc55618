// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/recording/row_order.h"

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace kvloupe {

/// How concentrated attention is: one softmax row, or the mean over rows. NaN = not known.
struct RowSparsity {
    double entropy = 0.0; ///< nats
    double effectiveKeys
        = 0.0; ///< exp(entropy): keys of an even row with the same entropy; a mean is one of exp, not of H
    double gini = 0.0; ///< 0 = even over the visible keys, towards 1 = on one key
    std::array<double, RowOrder::topCounts.size()> topMass{}; ///< attention on the 1, 8, 64 largest cells
    double sinkMass = 0.0; ///< attention on the first 4 positions
    double maximum = 0.0; ///< largest probability
};

/// Of the visible cells of one row, those of the positions firstVisible, firstVisible + 1, ... O(n log n).
RowSparsity rowSparsity(std::span<const float> cells, std::int64_t firstVisible = 0);

/// One value per row; arrays that are not known are empty. Rows of a recording: its prompt, then generated tokens.
struct SparsitySeries {
    std::vector<float> entropy;
    std::vector<float> gini;
    std::vector<float> topMass; ///< [rows, 3]
    std::vector<float> sinkMass;
    std::vector<float> maximum;

    RowSparsity at(std::int64_t row) const;
    /// Over rows [begin, end); NaN for an empty range.
    RowSparsity mean(std::int64_t begin, std::int64_t end) const;
};

} // namespace kvloupe
