// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <span>

namespace kvloupe {

/// out[i] = gelu(gate[i]) * up[i] with gelu(x) = x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))) (Shazeer 2020,
/// arXiv 2002.05202; Hendrycks and Gimpel 2016, arXiv 1606.08415, "gelu_pytorch_tanh"). `out` may be an input.
void geglu(std::span<const float> gate, std::span<const float> up, std::span<float> out);

} // namespace kvloupe
