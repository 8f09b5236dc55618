// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/recording/row_order.h"

#include <hwy/contrib/sort/vqsort.h>

#include <algorithm>

namespace kvloupe {

RowOrder rowOrder(std::span<float> cells)
{
    RowOrder result;
    hwy::Sorter()(cells.data(), cells.size(), hwy::SortAscending());
    const auto count = static_cast<double>(cells.size());
    double sum = 0.0;
    double weighted = 0.0;
    for (std::size_t i = 0; i < cells.size(); ++i) {
        const auto cell = static_cast<double>(cells[i]);
        sum += cell;
        weighted += (2.0 * static_cast<double>(i + 1) - count - 1.0) * cell;
    }
    if (sum > 0.0) {
        result.gini = static_cast<float>(weighted / (count * sum));
    }
    double mass = 0.0;
    std::size_t taken = 0;
    for (std::size_t t = 0; t < RowOrder::topCounts.size(); ++t) {
        const auto wanted = std::min(cells.size(), static_cast<std::size_t>(RowOrder::topCounts[t]));
        for (; taken < wanted; ++taken) {
            mass += static_cast<double>(cells[cells.size() - 1 - taken]);
        }
        result.topMass[t] = static_cast<float>(mass);
    }
    return result;
}

} // namespace kvloupe
