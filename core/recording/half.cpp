// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/recording/half.h"

#include <bit>
#include <cassert>
#include <cstddef>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/recording/half.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

// The same integer arithmetic on every target and in the scalar functions, so that a value converts to the same bits
// whatever the machine (F16C would keep the payload of a NaN, older units could not). Rounding of subnormal halves is
// left to one float addition of a power of two, whose last bit is the last bit of the half.
HWY_BEFORE_NAMESPACE();
namespace kvloupe::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

template <class D, class V = hn::Vec<D>> V toHalfBits(D d, V bits)
{
    const hn::RebindToFloat<D> df;
    const auto sign = hn::And(bits, hn::Set(d, 0x80000000U));
    const auto magnitude = hn::Xor(bits, sign);

    const auto isNan = magnitude > hn::Set(d, 0x7F800000U);
    const auto overflows = magnitude > hn::Set(d, 0x477FFFFFU); // 65536, the first power above every half
    const auto isSubnormal = hn::Set(d, 0x38800000U) > magnitude; // 2^-14, the smallest normal half

    const auto roundingMagic = hn::Set(d, 0x3F000000U); // 0.5
    const auto subnormal = hn::BitCast(d, hn::BitCast(df, magnitude) + hn::BitCast(df, roundingMagic)) - roundingMagic;
    const auto odd = hn::And(hn::ShiftRight<13>(magnitude), hn::Set(d, 1U));
    const auto normal = hn::ShiftRight<13>(magnitude + hn::Set(d, 0xC8000FFFU) + odd);

    auto half = hn::IfThenElse(isSubnormal, subnormal, normal);
    half = hn::IfThenElse(overflows, hn::Set(d, 0x7C00U), half);
    half = hn::IfThenElse(isNan, hn::Set(d, 0x7E00U), half);
    return hn::Or(half, hn::ShiftRight<16>(sign));
}

template <class D, class V = hn::Vec<D>> V toFloatBits(D d, V half)
{
    const hn::RebindToFloat<D> df;
    const auto exponentMask = hn::Set(d, 0x0F800000U);
    const auto shifted = hn::ShiftLeft<13>(hn::And(half, hn::Set(d, 0x7FFFU)));
    const auto exponent = hn::And(shifted, exponentMask);
    const auto normal = shifted + hn::Set(d, 0x38000000U);
    const auto special = normal + hn::Set(d, 0x38000000U);
    const auto subnormal
        = hn::BitCast(d, hn::BitCast(df, normal + hn::Set(d, 0x00800000U)) - hn::BitCast(df, hn::Set(d, 0x38800000U)));

    auto result = hn::IfThenElse(exponent == exponentMask, special, normal);
    result = hn::IfThenElse(exponent == hn::Zero(d), subnormal, result);
    return hn::Or(result, hn::ShiftLeft<16>(hn::And(half, hn::Set(d, 0x8000U))));
}

void halvesToFloatsKernel(const Half* HWY_RESTRICT halves, float* HWY_RESTRICT floats, std::size_t count)
{
    const hn::ScalableTag<std::uint32_t> d;
    const hn::RebindToFloat<decltype(d)> df;
    const hn::Rebind<Half, decltype(d)> d16;
    const std::size_t lanes = hn::Lanes(d);
    std::size_t i = 0;
    for (; i + lanes <= count; i += lanes) {
        hn::StoreU(hn::BitCast(df, toFloatBits(d, hn::PromoteTo(d, hn::LoadU(d16, halves + i)))), df, floats + i);
    }
    const hn::CappedTag<std::uint32_t, 1> d1;
    for (; i < count; ++i) {
        floats[i] = std::bit_cast<float>(hn::GetLane(toFloatBits(d1, hn::Set(d1, std::uint32_t{halves[i]}))));
    }
}

void floatsToHalvesKernel(const float* HWY_RESTRICT floats, Half* HWY_RESTRICT halves, std::size_t count)
{
    const hn::ScalableTag<std::uint32_t> d;
    const hn::RebindToFloat<decltype(d)> df;
    const hn::RebindToSigned<decltype(d)> di;
    const hn::Rebind<Half, decltype(d)> d16;
    const std::size_t lanes = hn::Lanes(d);
    std::size_t i = 0;
    for (; i + lanes <= count; i += lanes) {
        const auto half = toHalfBits(d, hn::BitCast(d, hn::LoadU(df, floats + i)));
        hn::StoreU(hn::DemoteTo(d16, hn::BitCast(di, half)), d16, halves + i);
    }
    const hn::CappedTag<std::uint32_t, 1> d1;
    for (; i < count; ++i) {
        const std::uint32_t half = hn::GetLane(toHalfBits(d1, hn::Set(d1, std::bit_cast<std::uint32_t>(floats[i]))));
        halves[i] = static_cast<Half>(half);
    }
}

} // namespace
} // namespace kvloupe::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace kvloupe {

HWY_EXPORT(halvesToFloatsKernel);
HWY_EXPORT(floatsToHalvesKernel);

float halfToFloat(Half value)
{
    float result = 0.0F;
    halvesToFloats({&value, 1}, {&result, 1});
    return result;
}

Half floatToHalf(float value)
{
    Half result = 0;
    floatsToHalves({&value, 1}, {&result, 1});
    return result;
}

void halvesToFloats(std::span<const Half> halves, std::span<float> floats)
{
    assert(halves.size() == floats.size());
    HWY_DYNAMIC_DISPATCH(halvesToFloatsKernel)(halves.data(), floats.data(), halves.size());
}

void floatsToHalves(std::span<const float> floats, std::span<Half> halves)
{
    assert(halves.size() == floats.size());
    HWY_DYNAMIC_DISPATCH(floatsToHalvesKernel)(floats.data(), halves.data(), floats.size());
}

} // namespace kvloupe

#endif
