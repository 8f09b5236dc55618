// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/recording/tile_pyramid.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/recording/tile_pyramid.cpp"
#include <hwy/foreach_target.h> // IWYU pragma: keep

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace kvloupe::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

void poolPairsKernel(const float* HWY_RESTRICT maximum0, const float* HWY_RESTRICT maximum1,
    const float* HWY_RESTRICT sum0, const float* HWY_RESTRICT sum1, std::size_t count, float* HWY_RESTRICT maximum,
    float* HWY_RESTRICT sum)
{
    const hn::ScalableTag<float> d;
    const std::size_t lanes = hn::Lanes(d);
    std::size_t i = 0;
    for (; i + lanes <= count; i += lanes) {
        hn::Vec<decltype(d)> even0;
        hn::Vec<decltype(d)> odd0;
        hn::Vec<decltype(d)> even1;
        hn::Vec<decltype(d)> odd1;
        hn::LoadInterleaved2(d, maximum0 + 2 * i, even0, odd0);
        hn::LoadInterleaved2(d, maximum1 + 2 * i, even1, odd1);
        hn::StoreU(hn::Max(hn::Max(even0, odd0), hn::Max(even1, odd1)), d, maximum + i);
        hn::LoadInterleaved2(d, sum0 + 2 * i, even0, odd0);
        hn::LoadInterleaved2(d, sum1 + 2 * i, even1, odd1);
        hn::StoreU(hn::Add(hn::Add(even0, odd0), hn::Add(even1, odd1)), d, sum + i);
    }
    for (; i < count; ++i) {
        maximum[i]
            = std::max(std::max(maximum0[2 * i], maximum0[2 * i + 1]), std::max(maximum1[2 * i], maximum1[2 * i + 1]));
        sum[i] = (sum0[2 * i] + sum0[2 * i + 1]) + (sum1[2 * i] + sum1[2 * i + 1]);
    }
}

} // namespace kvloupe::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace kvloupe {

HWY_EXPORT(poolPairsKernel);

namespace {

std::size_t index(std::int64_t value)
{
    return static_cast<std::size_t>(value);
}

} // namespace

std::int64_t causalCells(
    std::int64_t row, std::int64_t column, std::int64_t factor, std::int64_t tokens, std::int64_t window)
{
    const std::int64_t queryBegin = row * factor;
    const std::int64_t queryEnd = std::min(tokens, queryBegin + factor);
    const std::int64_t keyBegin = column * factor;
    const std::int64_t keyEnd = std::min(tokens, keyBegin + factor);
    if (window == 0 && keyEnd <= queryBegin + 1) {
        return (queryEnd - queryBegin) * (keyEnd - keyBegin);
    }
    std::int64_t cells = 0;
    for (std::int64_t query = queryBegin; query < queryEnd; ++query) {
        const std::int64_t first = window > 0 ? std::max(keyBegin, query - window + 1) : keyBegin;
        cells += std::max<std::int64_t>(0, std::min(keyEnd, query + 1) - first);
    }
    return cells;
}

void poolPairs(std::span<const float> maximum0, std::span<const float> maximum1, std::span<const float> sum0,
    std::span<const float> sum1, std::span<float> maximum, std::span<float> sum)
{
    HWY_DYNAMIC_DISPATCH(poolPairsKernel)
    (maximum0.data(), maximum1.data(), sum0.data(), sum1.data(), maximum.size(), maximum.data(), sum.data());
}

void BlockPyramid::build(
    std::span<const float> cells, std::int64_t rows, std::int64_t columns, std::int64_t stride, int levels)
{
    m_levels.resize(static_cast<std::size_t>(levels));
    if (std::ssize(m_zeros) < columns + 2) {
        m_zeros.assign(index(columns + 2), 0.0F);
    }
    for (int l = 0; l < levels; ++l) {
        Level& level = m_levels[static_cast<std::size_t>(l)];
        const Level* below = l > 0 ? &m_levels[static_cast<std::size_t>(l - 1)] : nullptr;
        const std::int64_t belowRows = below ? below->rows : rows;
        level.rows = (belowRows + 1) / 2;
        level.columns = ((below ? below->columns : columns) + 1) / 2;
        level.stride = level.columns + level.columns % 2;
        level.maximum.resize(index(level.rows * level.stride));
        level.sum.resize(level.maximum.size());
        const std::size_t width = index(2 * level.columns);
        const auto source = [&](std::int64_t row, bool wantsSum) -> std::span<const float> {
            if (row >= belowRows) {
                return std::span<const float>(m_zeros).first(width);
            }
            if (below == nullptr) {
                return cells.subspan(index(row * stride), width);
            }
            return std::span<const float>(wantsSum ? below->sum : below->maximum)
                .subspan(index(row * below->stride), width);
        };
        for (std::int64_t row = 0; row < level.rows; ++row) {
            const auto begin = index(row * level.stride);
            const auto count = index(level.columns);
            poolPairs(source(2 * row, false), source(2 * row + 1, false), source(2 * row, true),
                source(2 * row + 1, true), std::span(level.maximum).subspan(begin, count),
                std::span(level.sum).subspan(begin, count));
            if (level.columns % 2 != 0) {
                level.maximum[begin + count] = 0.0F;
                level.sum[begin + count] = 0.0F;
            }
        }
    }
}

std::span<const float> BlockPyramid::maximum(int level, std::int64_t row) const
{
    const Level& l = m_levels[static_cast<std::size_t>(level - 1)];
    return std::span(l.maximum).subspan(index(row * l.stride), index(l.columns));
}

std::span<const float> BlockPyramid::sum(int level, std::int64_t row) const
{
    const Level& l = m_levels[static_cast<std::size_t>(level - 1)];
    return std::span(l.sum).subspan(index(row * l.stride), index(l.columns));
}

} // namespace kvloupe

#endif
