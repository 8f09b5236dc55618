// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/attention/column_sums.h"

#include <algorithm>
#include <cstddef>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/attention/column_sums.cpp"
#include <hwy/foreach_target.h> // IWYU pragma: keep
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace kvloupe::column_sums::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

constexpr std::int64_t rowsTogether = 8;

/// Columns [0, columns) of `rowsTogether` rows, all of them visible in each.
void addVisibleRows(
    const float* HWY_RESTRICT rows, std::int64_t stride, std::int64_t columns, double* HWY_RESTRICT sums)
{
    const hn::ScalableTag<double> wide;
    const hn::Rebind<float, decltype(wide)> narrow; // as many floats as doubles: memory is the limit, not the adder
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(wide));
    std::int64_t column = 0;
    for (; column + lanes <= columns; column += lanes) {
        const auto at = [&](std::int64_t row) { return hn::LoadU(narrow, rows + row * stride + column); };
        const auto low = hn::Add(hn::Add(at(0), at(1)), hn::Add(at(2), at(3)));
        const auto high = hn::Add(hn::Add(at(4), at(5)), hn::Add(at(6), at(7)));
        const auto sum = hn::PromoteTo(wide, hn::Add(low, high));
        hn::StoreU(hn::Add(hn::LoadU(wide, sums + column), sum), wide, sums + column);
    }
    for (; column < columns; ++column) {
        const auto at = [&](std::int64_t row) { return rows[row * stride + column]; };
        sums[column] += static_cast<double>(((at(0) + at(1)) + (at(2) + at(3))) + ((at(4) + at(5)) + (at(6) + at(7))));
    }
}

void add(const float* rows, std::int64_t stride, std::int64_t firstQuery, std::int64_t rowCount, double* sums)
{
    std::int64_t row = 0;
    for (; row + rowsTogether <= rowCount; row += rowsTogether) {
        const std::int64_t shared = firstQuery + row + 1; // columns that every one of the rows sees
        addVisibleRows(rows + row * stride, stride, shared, sums);
        for (std::int64_t r = row + 1; r < row + rowsTogether; ++r)
            for (std::int64_t column = shared; column <= firstQuery + r; ++column)
                sums[column] += static_cast<double>(rows[r * stride + column]);
    }
    for (; row < rowCount; ++row)
        for (std::int64_t column = 0; column <= firstQuery + row; ++column)
            sums[column] += static_cast<double>(rows[row * stride + column]);
}

/// Four rows at a time, so that the sums are read and written once for each four.
void addInOrder(const float* HWY_RESTRICT rows, std::int64_t stride, std::int64_t rowCount, std::int64_t columns,
    double* HWY_RESTRICT sums)
{
    const hn::ScalableTag<double> wide;
    const hn::Rebind<float, decltype(wide)> narrow;
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(wide));
    for (std::int64_t row = 0; row < rowCount;) {
        const std::int64_t together = row + 4 <= rowCount ? 4 : 1;
        const float* from = rows + row * stride;
        std::int64_t column = 0;
        for (; column + lanes <= columns; column += lanes) {
            const auto at
                = [&](std::int64_t r) { return hn::PromoteTo(wide, hn::LoadU(narrow, from + r * stride + column)); };
            auto sum = hn::Add(hn::LoadU(wide, sums + column), at(0));
            if (together == 4)
                sum = hn::Add(hn::Add(hn::Add(sum, at(1)), at(2)), at(3));
            hn::StoreU(sum, wide, sums + column);
        }
        for (; column < columns; ++column)
            for (std::int64_t r = 0; r < together; ++r)
                sums[column] += static_cast<double>(from[r * stride + column]);
        row += together;
    }
}

} // namespace kvloupe::column_sums::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace kvloupe {

namespace column_sums {
HWY_EXPORT(add);
HWY_EXPORT(addInOrder);
} // namespace column_sums

void addColumnSums(std::span<const float> rows, std::int64_t stride, std::int64_t firstQuery, std::int64_t rowCount,
    std::span<double> sums)
{
    using namespace column_sums;
    rowCount = std::min(rowCount, static_cast<std::int64_t>(sums.size()) - firstQuery);
    HWY_DYNAMIC_DISPATCH(add)(rows.data(), stride, firstQuery, rowCount, sums.data());
}

void addRows(std::span<const float> rows, std::int64_t stride, std::int64_t rowCount, std::span<double> sums)
{
    using namespace column_sums;
    HWY_DYNAMIC_DISPATCH(addInOrder)
    (rows.data(), stride, rowCount, static_cast<std::int64_t>(sums.size()), sums.data());
}

} // namespace kvloupe
#endif
