// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <cstdint>
#include <span>

namespace kvloupe::decode_kernels {

// SIMD pieces of the attention of single queries, chosen for the machine at run time. A page holds 16 tokens: their
// keys [dim, 16], then their values [16, dim], as TokenPages lays them out.

inline constexpr std::int64_t pageTokens = 16;

/// out[r, s] = queries[r] . key of slot s, for all slots of all pages; `queries` is [rows, dim], rows of `out` are
/// `stride` floats apart. A product is one chain of fused multiply-adds over the dimensions in order, as in the forward
/// pass.
void keyProducts(
    const float* queries, int rows, int dim, std::span<const float* const> pages, float* out, std::int64_t stride);

/// Softmax of scale * row over [0, size), a whole number of pages, in place. Cells of minus infinity become 0; if all
/// are, the row becomes 0.
void softmax(float* row, std::int64_t size, float scale);

/// context[r] = sum over slots of weights[r, s] * value of slot s; rows of `weights` are `stride` floats apart, those
/// of `context` `dim`.
void weightedValues(
    const float* weights, std::int64_t stride, int rows, int dim, std::span<const float* const> pages, float* context);

/// Turns the keys of those slots of a page whose `chosen` [16] is not 0 by one angle per pair of channels: `cosines`
/// and `sines` are [dim / 2], channel i turns with i + dim / 2.
void turnKeys(float* page, int dim, const float* chosen, const float* cosines, const float* sines);

} // namespace kvloupe::decode_kernels
