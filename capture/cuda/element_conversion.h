// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/cuda/execution.h"

#include <bit>
#include <cstdint>
#include <type_traits>

namespace kvloupe::cuda {

/// Exact, subnormal numbers, infinities and NaN included: exponent and mantissa moved into place are 2^-112 too small,
/// which one exact product undoes.
KVLOUPE_DEVICE float widenHalf(std::uint16_t half)
{
    const std::uint32_t magnitude = (half & 0x7fffU) << 13;
    const float scaled = std::bit_cast<float>(magnitude) * std::bit_cast<float>(0x77800000U);
    const std::uint32_t special = magnitude >= 0x0f800000U ? 0x7f800000U : 0U;
    return std::bit_cast<float>(std::bit_cast<std::uint32_t>(scaled) | special | (half & 0x8000U) << 16);
}

KVLOUPE_DEVICE float widen(float value)
{
    return value;
}
KVLOUPE_DEVICE float widen(Bfloat16 value)
{
    return std::bit_cast<float>(static_cast<std::uint32_t>(value.bits) << 16);
}
KVLOUPE_DEVICE float widen(Float16 value)
{
    return widenHalf(value.bits);
}

/// To nearest even.
template <typename Warp, typename Element> KVLOUPE_DEVICE Element narrow(float value)
{
    if constexpr (std::is_same_v<Element, float>)
        return value;
    else
        return {static_cast<std::uint16_t>(Warp::template pack<Element>(value, 0.0F))};
}

} // namespace kvloupe::cuda
