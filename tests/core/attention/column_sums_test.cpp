// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/attention/column_sums.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace kvloupe {
namespace {

TEST(ColumnSums, RowsAreAddedWithTheBitsOfThePlainLoop)
{
    std::mt19937 random(5);
    std::uniform_real_distribution<float> attention;
    for (const std::int64_t columns : {0, 1, 3, 8, 17, 64, 101})
        for (const std::int64_t rows : {0, 1, 3, 4, 5, 9, 64}) {
            const std::int64_t stride = columns + 5;
            std::vector<float> cells(static_cast<std::size_t>(rows * stride));
            for (float& cell : cells)
                cell = attention(random);
            std::vector<double> expected(static_cast<std::size_t>(columns), 0.25);
            for (std::int64_t row = 0; row < rows; ++row)
                for (std::int64_t column = 0; column < columns; ++column)
                    expected[static_cast<std::size_t>(column)]
                        += static_cast<double>(cells[static_cast<std::size_t>(row * stride + column)]);
            std::vector<double> sums(static_cast<std::size_t>(columns), 0.25);
            addRows(cells, stride, rows, sums);
            EXPECT_EQ(sums, expected) << rows << " x " << columns;
        }
}

} // namespace
} // namespace kvloupe
