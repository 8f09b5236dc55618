// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/attention/attention_rows.h"

#include <cstdint>

namespace kvloupe::attention_kernels {

// SIMD pieces of attention_rows, chosen for the machine at run time. Columns are absolute key positions; rows of `out`
// are `stride` floats apart and `out` points at column 0.

/// out[r, c] = queries[r] . keys[c] for c in [columnBegin, columnEnd), both multiples of 16; a product is one chain of
/// fused multiply-adds over the dimensions in order, so its bits do not depend on the block it is computed in. With
/// `causal`, cells more than one block of rows right of the diagonal (row r is query queryBegin + r) may be left
/// untouched.
void dotProducts(const float* queries, std::int64_t rows, const PackedKeys& keys, std::int64_t columnBegin,
    std::int64_t columnEnd, bool causal, std::int64_t queryBegin, float* out, std::int64_t stride);

/// Softmax of scale * row over [begin, end), in place.
RowStatistics softmax(float* row, std::int64_t begin, std::int64_t end, float scale);

/// row[c] = exp(scale * row[c] - logSumExp) over [begin, end), in place.
void exponentials(float* row, std::int64_t begin, std::int64_t end, float scale, float logSumExp);

} // namespace kvloupe::attention_kernels
