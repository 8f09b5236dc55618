// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <span>

namespace kvloupe {

/// out[i] = gain[i] * x[i] / sqrt(mean(x^2) + epsilon), over one row [hidden] (Zhang and Sennrich 2019, arXiv
/// 1910.07467).
///
/// False if the row holds an infinity or NaN, or numbers whose squares overflow: the forward pass has broken down.
bool rmsNorm(std::span<const float> x, std::span<const float> gain, double epsilon, std::span<float> out);

} // namespace kvloupe
