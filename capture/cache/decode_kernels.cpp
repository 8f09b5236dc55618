// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/cache/decode_kernels.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "capture/cache/decode_kernels.cpp"
#include <hwy/foreach_target.h> // IWYU pragma: keep

#include <hwy/contrib/math/math-inl.h>
#include <hwy/highway.h>

#ifndef KVLOUPE_UNROLL
#define KVLOUPE_UNROLL _Pragma("GCC unroll 8")
#endif

HWY_BEFORE_NAMESPACE();
namespace kvloupe::decode_kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// A page is a whole number of vectors.
using D = hn::CappedTag<float, pageTokens>;
using V = hn::Vec<D>;

constexpr std::int64_t lanes = static_cast<std::int64_t>(hn::MaxLanes(D()));
constexpr int pageVectors = static_cast<int>(pageTokens / lanes);
constexpr int rowsTogether = 4; // query heads that share what is loaded of a page

/// Rows x pages at once: with one row two pages, so that enough sums are on their way to hide the latency.
template <int Rows, int Pages>
HWY_INLINE void pageProducts(
    const float* HWY_RESTRICT queries, int dim, const float* const* pages, float* HWY_RESTRICT out, std::int64_t stride)
{
    const D d;
    V sums[Rows][Pages][pageVectors];
    KVLOUPE_UNROLL
    for (int r = 0; r < Rows; ++r) {
        KVLOUPE_UNROLL
        for (int p = 0; p < Pages; ++p) {
            KVLOUPE_UNROLL
            for (int v = 0; v < pageVectors; ++v)
                sums[r][p][v] = hn::Zero(d);
        }
    }
    for (int i = 0; i < dim; ++i) {
        KVLOUPE_UNROLL
        for (int p = 0; p < Pages; ++p) {
            KVLOUPE_UNROLL
            for (int v = 0; v < pageVectors; ++v) {
                const V key = hn::Load(d, pages[p] + i * pageTokens + v * lanes);
                KVLOUPE_UNROLL
                for (int r = 0; r < Rows; ++r)
                    sums[r][p][v] = hn::MulAdd(hn::Set(d, queries[r * dim + i]), key, sums[r][p][v]);
            }
        }
    }
    KVLOUPE_UNROLL
    for (int r = 0; r < Rows; ++r) {
        KVLOUPE_UNROLL
        for (int p = 0; p < Pages; ++p) {
            KVLOUPE_UNROLL
            for (int v = 0; v < pageVectors; ++v)
                hn::StoreU(sums[r][p][v], d, out + r * stride + p * pageTokens + v * lanes);
        }
    }
}

template <int Rows>
HWY_INLINE void allProducts(
    const float* queries, int dim, const float* const* pages, std::int64_t count, float* out, std::int64_t stride)
{
    constexpr int together = Rows == 1 ? 4 : (Rows == 2 ? 2 : 1);
    std::int64_t page = 0;
    for (; page + together <= count; page += together)
        pageProducts<Rows, together>(queries, dim, pages + page, out + page * pageTokens, stride);
    for (; page < count; ++page)
        pageProducts<Rows, 1>(queries, dim, pages + page, out + page * pageTokens, stride);
}

void keyProducts(const float* queries, int rows, int dim, const float* const* pages, std::int64_t count, float* out,
    std::int64_t stride)
{
    for (; rows >= rowsTogether; rows -= rowsTogether) {
        allProducts<rowsTogether>(queries, dim, pages, count, out, stride);
        queries += rowsTogether * dim;
        out += rowsTogether * stride;
    }
    if (rows == 3)
        allProducts<3>(queries, dim, pages, count, out, stride);
    else if (rows == 2)
        allProducts<2>(queries, dim, pages, count, out, stride);
    else if (rows == 1)
        allProducts<1>(queries, dim, pages, count, out, stride);
}

/// `size` is a whole number of pages.
void softmax(float* row, std::int64_t size, float scale)
{
    const D d;
    V largest = hn::Set(d, -INFINITY);
    for (std::int64_t c = 0; c < size; c += lanes)
        largest = hn::Max(largest, hn::LoadU(d, row + c));
    const float maximum = hn::GetLane(hn::MaxOfLanes(d, largest));
    if (maximum == -INFINITY) {
        std::fill_n(row, size, 0.0F);
        return;
    }
    const V scales = hn::Set(d, scale);
    const V offset = hn::Set(d, maximum);
    V sums = hn::Zero(d);
    for (std::int64_t c = 0; c < size; c += lanes) {
        const V e = hn::Exp(d, hn::Mul(scales, hn::Sub(hn::LoadU(d, row + c), offset)));
        sums = hn::Add(sums, e);
        hn::StoreU(e, d, row + c);
    }
    const V factors = hn::Set(d, 1.0F / hn::GetLane(hn::SumOfLanes(d, sums)));
    for (std::int64_t c = 0; c < size; c += lanes)
        hn::StoreU(hn::Mul(hn::LoadU(d, row + c), factors), d, row + c);
}

template <int Rows, int Vectors>
HWY_INLINE void pageValues(const float* HWY_RESTRICT weights, std::int64_t stride, int dim,
    const float* HWY_RESTRICT values, float* HWY_RESTRICT context)
{
    const D d;
    V sums[Rows][Vectors];
    KVLOUPE_UNROLL
    for (int r = 0; r < Rows; ++r) {
        KVLOUPE_UNROLL
        for (int v = 0; v < Vectors; ++v)
            sums[r][v] = hn::LoadU(d, context + r * dim + v * lanes);
    }
    for (std::int64_t slot = 0; slot < pageTokens; ++slot) {
        V weight[Rows];
        KVLOUPE_UNROLL
        for (int r = 0; r < Rows; ++r)
            weight[r] = hn::Set(d, weights[r * stride + slot]);
        KVLOUPE_UNROLL
        for (int v = 0; v < Vectors; ++v) {
            const V value = hn::LoadU(d, values + slot * dim + v * lanes);
            KVLOUPE_UNROLL
            for (int r = 0; r < Rows; ++r)
                sums[r][v] = hn::MulAdd(weight[r], value, sums[r][v]);
        }
    }
    KVLOUPE_UNROLL
    for (int r = 0; r < Rows; ++r) {
        KVLOUPE_UNROLL
        for (int v = 0; v < Vectors; ++v)
            hn::StoreU(sums[r][v], d, context + r * dim + v * lanes);
    }
}

template <int Rows>
HWY_INLINE void allValues(
    const float* weights, std::int64_t stride, int dim, const float* const* pages, std::int64_t count, float* context)
{
    constexpr int together = Rows == 1 ? 8 : (Rows == 2 ? 4 : 2);
    for (std::int64_t page = 0; page < count; ++page, weights += pageTokens) {
        const float* values = pages[page] + dim * pageTokens;
        int column = 0;
        for (; column + together * lanes <= dim; column += static_cast<int>(together * lanes))
            pageValues<Rows, together>(weights, stride, dim, values + column, context + column);
        for (; column + lanes <= dim; column += static_cast<int>(lanes))
            pageValues<Rows, 1>(weights, stride, dim, values + column, context + column);
        for (; column < dim; ++column)
            for (std::int64_t r = 0; r < Rows; ++r)
                for (std::int64_t slot = 0; slot < pageTokens; ++slot)
                    context[r * dim + column] += weights[r * stride + slot] * values[slot * dim + column];
    }
}

void weightedValues(const float* weights, std::int64_t stride, int rows, int dim, const float* const* pages,
    std::int64_t count, float* context)
{
    std::fill_n(context, static_cast<std::int64_t>(rows) * dim, 0.0F);
    for (; rows >= rowsTogether; rows -= rowsTogether) {
        allValues<rowsTogether>(weights, stride, dim, pages, count, context);
        weights += rowsTogether * stride;
        context += rowsTogether * dim;
    }
    if (rows == 3)
        allValues<3>(weights, stride, dim, pages, count, context);
    else if (rows == 2)
        allValues<2>(weights, stride, dim, pages, count, context);
    else if (rows == 1)
        allValues<1>(weights, stride, dim, pages, count, context);
}

void turnKeys(float* page, int dim, const float* chosen, const float* cosines, const float* sines)
{
    const D d;
    const int half = dim / 2;
    for (std::int64_t v = 0; v < pageTokens; v += lanes) {
        const auto turns = hn::Ne(hn::LoadU(d, chosen + v), hn::Zero(d));
        for (int i = 0; i < half; ++i) {
            float* const first = page + i * pageTokens + v;
            float* const second = page + (half + i) * pageTokens + v;
            const V a = hn::Load(d, first);
            const V b = hn::Load(d, second);
            const V cosine = hn::Set(d, cosines[i]);
            const V sine = hn::Set(d, sines[i]);
            hn::Store(hn::IfThenElse(turns, hn::NegMulAdd(b, sine, hn::Mul(a, cosine)), a), d, first);
            hn::Store(hn::IfThenElse(turns, hn::MulAdd(a, sine, hn::Mul(b, cosine)), b), d, second);
        }
    }
}

} // namespace kvloupe::decode_kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace kvloupe::decode_kernels {

HWY_EXPORT(keyProducts);
HWY_EXPORT(softmax);
HWY_EXPORT(weightedValues);
HWY_EXPORT(turnKeys);

void keyProducts(
    const float* queries, int rows, int dim, std::span<const float* const> pages, float* out, std::int64_t stride)
{
    HWY_DYNAMIC_DISPATCH(keyProducts)(queries, rows, dim, pages.data(), std::ssize(pages), out, stride);
}

void softmax(float* row, std::int64_t size, float scale)
{
    HWY_DYNAMIC_DISPATCH(softmax)(row, size, scale);
}

void weightedValues(
    const float* weights, std::int64_t stride, int rows, int dim, std::span<const float* const> pages, float* context)
{
    HWY_DYNAMIC_DISPATCH(weightedValues)(weights, stride, rows, dim, pages.data(), std::ssize(pages), context);
}

void turnKeys(float* page, int dim, const float* chosen, const float* cosines, const float* sines)
{
    HWY_DYNAMIC_DISPATCH(turnKeys)(page, dim, chosen, cosines, sines);
}

} // namespace kvloupe::decode_kernels

#endif
