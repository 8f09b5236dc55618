// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <span>

namespace kvloupe {

/// out[i] = silu(gate[i]) * up[i] with silu(x) = x / (1 + e^-x) (Shazeer 2020, arXiv 2002.05202). `out` may be an
/// input.
void swiglu(std::span<const float> gate, std::span<const float> up, std::span<float> out);

} // namespace kvloupe
