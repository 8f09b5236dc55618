// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/attention/attention_kernels.h"

#include <algorithm>
#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/attention/attention_kernels.cpp"
#include <hwy/foreach_target.h> // IWYU pragma: keep

#include <hwy/contrib/math/math-inl.h>
#include <hwy/highway.h>

// The accumulators live in registers only if these loops are unrolled, whatever the optimisation level.
#ifndef KVLOUPE_UNROLL
#define KVLOUPE_UNROLL _Pragma("GCC unroll 8")
#endif

HWY_BEFORE_NAMESPACE();
namespace kvloupe::attention_kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// At most one panel of keys per vector, so that a vector never straddles two panels.
using D = hn::CappedTag<float, PackedKeys::panelKeys>;
using V = hn::Vec<D>;

constexpr std::int64_t lanes = static_cast<std::int64_t>(hn::MaxLanes(D()));
// 6 rows x 4 vectors fill the 32 registers of AVX-512, 6 x 2 the 16 of AVX2.
constexpr int tileRows = 6;
constexpr int tileVectors = lanes == PackedKeys::panelKeys ? 4 : 2;

template <int Rows, int Vectors>
HWY_INLINE void dotTile(const float* HWY_RESTRICT queries, std::int64_t headDim, const float* const* HWY_RESTRICT keys,
    float* HWY_RESTRICT out, std::int64_t stride)
{
    const D d;
    V sums[Rows][Vectors];
    KVLOUPE_UNROLL
    for (int r = 0; r < Rows; ++r) {
        KVLOUPE_UNROLL
        for (int v = 0; v < Vectors; ++v) {
            sums[r][v] = hn::Zero(d);
        }
    }
    for (std::int64_t i = 0; i < headDim; ++i) {
        V key[Vectors];
        KVLOUPE_UNROLL
        for (int v = 0; v < Vectors; ++v) {
            key[v] = hn::LoadU(d, keys[v] + i * PackedKeys::panelKeys);
        }
        KVLOUPE_UNROLL
        for (int r = 0; r < Rows; ++r) {
            const V query = hn::Set(d, queries[r * headDim + i]);
            KVLOUPE_UNROLL
            for (int v = 0; v < Vectors; ++v) {
                sums[r][v] = hn::MulAdd(query, key[v], sums[r][v]);
            }
        }
    }
    KVLOUPE_UNROLL
    for (int r = 0; r < Rows; ++r) {
        KVLOUPE_UNROLL
        for (int v = 0; v < Vectors; ++v) {
            hn::StoreU(sums[r][v], d, out + r * stride + v * lanes);
        }
    }
}

template <int Vectors>
HWY_INLINE void dotRows(
    int rows, const float* queries, std::int64_t headDim, const float* const* keys, float* out, std::int64_t stride)
{
    switch (rows) {
    case 6:
        dotTile<6, Vectors>(queries, headDim, keys, out, stride);
        break;
    case 5:
        dotTile<5, Vectors>(queries, headDim, keys, out, stride);
        break;
    case 4:
        dotTile<4, Vectors>(queries, headDim, keys, out, stride);
        break;
    case 3:
        dotTile<3, Vectors>(queries, headDim, keys, out, stride);
        break;
    case 2:
        dotTile<2, Vectors>(queries, headDim, keys, out, stride);
        break;
    default:
        dotTile<1, Vectors>(queries, headDim, keys, out, stride);
        break;
    }
}

void dotProducts(const float* queries, std::int64_t rows, const PackedKeys& keys, std::int64_t columnBegin,
    std::int64_t columnEnd, bool causal, std::int64_t queryBegin, float* out, std::int64_t stride)
{
    const std::int64_t headDim = keys.headDim();
    std::int64_t column = columnBegin;
    while (column < columnEnd) {
        const std::int64_t vectors = std::min<std::int64_t>(tileVectors, (columnEnd - column) / lanes);
        const float* panels[tileVectors];
        for (int v = 0; v < tileVectors; ++v) {
            const std::int64_t first = column + std::min<std::int64_t>(v, vectors - 1) * lanes;
            panels[v] = keys.panel(first / PackedKeys::panelKeys) + first % PackedKeys::panelKeys;
        }
        std::int64_t row = 0;
        if (causal && column > queryBegin) {
            row = std::min(rows, (column - queryBegin) / tileRows * tileRows);
        }
        for (; row < rows; row += tileRows) {
            const int count = static_cast<int>(std::min<std::int64_t>(tileRows, rows - row));
            float* target = out + row * stride + column;
            const float* query = queries + row * headDim;
            if (vectors == tileVectors) {
                dotRows<tileVectors>(count, query, headDim, panels, target, stride);
            } else {
                for (std::int64_t v = 0; v < vectors; ++v) {
                    dotRows<1>(count, query, headDim, panels + v, target + v * lanes, stride);
                }
            }
        }
        column += vectors * lanes;
    }
}

/// The last cells of a row, fewer than a vector of them: with a sliding window a whole vector may reach beyond the row.
class Tail {
public:
    Tail(float* cells, std::int64_t count)
        : m_cells(cells)
        , m_count(count)
        , m_mask(hn::FirstN(D(), static_cast<std::size_t>(count)))
    {
        std::copy_n(m_cells, m_count, m_lanes);
    }

    /// The cells, other lanes as in `rest`.
    V load(V rest) const { return hn::IfThenElse(m_mask, hn::Load(D(), m_lanes), rest); }
    V kept(V values) const { return hn::IfThenElseZero(m_mask, values); }
    void store(V values)
    {
        hn::Store(values, D(), m_lanes);
        std::copy_n(m_lanes, m_count, m_cells);
    }

private:
    float* m_cells;
    std::int64_t m_count;
    hn::Mask<D> m_mask;
    alignas(64) float m_lanes[PackedKeys::panelKeys] = {};
};

RowStatistics softmax(float* row, std::int64_t begin, std::int64_t end, float scale)
{
    const D d;
    const std::int64_t vectorEnd = begin + (end - begin) / lanes * lanes;
    Tail tail(row + vectorEnd, end - vectorEnd);

    V largest = tail.load(hn::Set(d, -INFINITY));
    for (std::int64_t c = begin; c < vectorEnd; c += lanes) {
        largest = hn::Max(largest, hn::LoadU(d, row + c));
    }
    const float maximum = hn::GetLane(hn::MaxOfLanes(d, largest));

    const V scales = hn::Set(d, scale);
    const V offset = hn::Set(d, maximum);
    V sums = hn::Zero(d);
    V weighted = hn::Zero(d); // sum of e^x * x with x = scale * (s - max)
    const auto exponential = [&](V score) {
        const V x = hn::Mul(scales, hn::Sub(score, offset));
        return std::pair(x, hn::Exp(d, x));
    };
    for (std::int64_t c = begin; c < vectorEnd; c += lanes) {
        const auto [x, e] = exponential(hn::LoadU(d, row + c));
        sums = hn::Add(sums, e);
        weighted = hn::MulAdd(e, x, weighted);
        hn::StoreU(e, d, row + c);
    }
    const auto [tailX, tailExponentials] = exponential(tail.load(offset));
    const V tailCells = tail.kept(tailExponentials);
    sums = hn::Add(sums, tailCells);
    weighted = hn::MulAdd(tailCells, tailX, weighted);

    const float sum = hn::GetLane(hn::SumOfLanes(d, sums));
    const float factor = 1.0F / sum;
    const V factors = hn::Set(d, factor);
    for (std::int64_t c = begin; c < vectorEnd; c += lanes) {
        hn::StoreU(hn::Mul(hn::LoadU(d, row + c), factors), d, row + c);
    }
    tail.store(hn::Mul(tailCells, factors));

    RowStatistics statistics;
    const float logSum = std::log(sum);
    statistics.logSumExp = scale * maximum + logSum;
    statistics.entropy = std::max(0.0F, logSum - hn::GetLane(hn::SumOfLanes(d, weighted)) * factor);
    statistics.maximum = factor;
    return statistics;
}

void exponentials(float* row, std::int64_t begin, std::int64_t end, float scale, float logSumExp)
{
    const D d;
    const V scales = hn::Set(d, scale);
    const V offset = hn::Set(d, logSumExp);
    std::int64_t c = begin;
    for (; c + lanes <= end; c += lanes) {
        hn::StoreU(hn::Exp(d, hn::MulSub(scales, hn::LoadU(d, row + c), offset)), d, row + c);
    }
    Tail tail(row + c, end - c);
    tail.store(hn::Exp(d, hn::MulSub(scales, tail.load(hn::Zero(d)), offset)));
}

} // namespace kvloupe::attention_kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace kvloupe::attention_kernels {

HWY_EXPORT(dotProducts);
HWY_EXPORT(softmax);
HWY_EXPORT(exponentials);

void dotProducts(const float* queries, std::int64_t rows, const PackedKeys& keys, std::int64_t columnBegin,
    std::int64_t columnEnd, bool causal, std::int64_t queryBegin, float* out, std::int64_t stride)
{
    HWY_DYNAMIC_DISPATCH(dotProducts)(queries, rows, keys, columnBegin, columnEnd, causal, queryBegin, out, stride);
}

RowStatistics softmax(float* row, std::int64_t begin, std::int64_t end, float scale)
{
    return HWY_DYNAMIC_DISPATCH(softmax)(row, begin, end, scale);
}

void exponentials(float* row, std::int64_t begin, std::int64_t end, float scale, float logSumExp)
{
    HWY_DYNAMIC_DISPATCH(exponentials)(row, begin, end, scale, logSumExp);
}

} // namespace kvloupe::attention_kernels

#endif
