// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <span>
#include <vector>

namespace kvloupe {

enum class TokenPooling { Average, Maximum };

/// Pooling along the tokens with stride 1 and the same length: `out[i]` covers in[i - kernel/2 .. i + kernel/2].
///
/// Maximum pads with minus infinity. Average is the *sum* over the covered tokens (zero padding); the caller scales by
/// 1 / kernel, also at the borders, as torch.nn.functional.avg_pool1d does by default. `kernel` is odd; O(n * kernel)
/// for the small kernels in use.
void poolTokens(std::span<const double> in, int kernel, TokenPooling pooling, std::span<double> out);

} // namespace kvloupe
