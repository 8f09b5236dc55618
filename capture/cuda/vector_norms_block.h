// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/cuda/element_conversion.h"
#include "capture/cuda/lane_reduction.h"

#include <cmath>
#include <cstdint>

namespace kvloupe::cuda {

/// Euclidean norms of vectors [heads, tokens, dim], strides in elements: norms [heads, tokens].
template <typename Element> struct NormsInput {
    const Element* vectors;
    std::int64_t headStride;
    std::int64_t tokenStride;
    int tokens;
    int dim;
    float* norms;
};

/// One warp per vector. Grid: x = tokens / warps of a block, y = heads.
template <typename Warp, typename Element> KVLOUPE_DEVICE void vectorNorms(Warp& warp, const NormsInput<Element>& input)
{
    const int token = warp.block(0) * warp.count() + warp.index();
    if (token >= input.tokens)
        return;
    const Element* vector = input.vectors + warp.block(1) * input.headStride + token * input.tokenStride;
    typename Warp::template Value<float> sum;
    warp.lanes([&](int lane) {
        sum(lane) = 0.0F;
        for (int i = lane; i < input.dim; i += warpLanes) {
            const float x = widen(vector[i]);
            sum(lane) = __builtin_fmaf(x, x, sum(lane));
        }
    });
    reduceLanes<31>(warp, sum, Sum());
    warp.lanes([&](int lane) {
        if (lane == 0)
            input.norms[static_cast<std::int64_t>(warp.block(1)) * input.tokens + token] = sqrtf(sum(lane));
    });
}

} // namespace kvloupe::cuda
