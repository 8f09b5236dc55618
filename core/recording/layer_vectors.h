// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <cstdint>
#include <span>

namespace kvloupe {

/// Queries, keys and values of a run of tokens of one layer, float32, as a forward pass has them. Views only.
struct LayerVectors {
    int layer = 0;
    std::int64_t tokenBegin = 0;
    std::int64_t tokens = 0;
    std::span<const float> queries; ///< [heads, tokens, head_dim], after RoPE
    std::span<const float> keys; ///< [kv_heads, tokens, head_dim], after RoPE
    std::span<const float> values; ///< [kv_heads, tokens, head_dim]
    std::span<const float> queriesBeforeRope = {}; ///< [heads, tokens, head_dim], may be empty
    std::span<const float> outputValueNorms = {}; ///< [heads, tokens], 1-norm of W_o,h v; may be empty
};

} // namespace kvloupe
