// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <span>

namespace kvloupe {

/// out[t] += k_t . linear + k_t^T quadratic k_t for the keys k [tokens, size], in double. `quadratic` [size, size] row
/// by row, or empty for none. Equal keys give equal bits wherever they stand. O(tokens size^2), SIMD chosen for the
/// machine at run time: some milliseconds for 4,096 keys of 9 heads of 64 channels.
void addQuadraticForm(std::span<const float> keys, std::span<const double> linear, std::span<const double> quadratic,
    std::span<double> out);

} // namespace kvloupe
