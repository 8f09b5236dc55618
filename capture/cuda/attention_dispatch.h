// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/cuda/attention_tiling.h"

#include <array>
#include <stdexcept>
#include <string>

namespace kvloupe::cuda {

inline constexpr std::array attentionHeadDims{64, 80, 96, 128, 256};

/// f(tiling) with the tiling of a head dimension; a tiling is empty.
template <typename Element, typename F> auto withTiling(int headDim, F&& f)
{
    switch (headDim) {
    case 64:
        return f(AttentionTiling<Element, 64>());
    case 80:
        return f(AttentionTiling<Element, 80>());
    case 96:
        return f(AttentionTiling<Element, 96>());
    case 128:
        return f(AttentionTiling<Element, 128>());
    case 256:
        return f(AttentionTiling<Element, 256>());
    default:
        throw std::invalid_argument(
            "head dimension: found " + std::to_string(headDim) + ", the CUDA kernels have 64, 80, 96, 128 and 256");
    }
}

} // namespace kvloupe::cuda
