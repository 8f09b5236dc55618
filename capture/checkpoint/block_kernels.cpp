// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/checkpoint/block_kernels.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "capture/checkpoint/block_kernels.cpp"
#include <hwy/foreach_target.h> // IWYU pragma: keep

#include <hwy/highway.h>

// Shifts by constants, and with them vectors, come from unrolling.
#ifndef KVLOUPE_UNROLL
#define KVLOUPE_UNROLL _Pragma("GCC unroll 16")
#endif

// Formulas and layouts: ggml-quants.c, dequantize_row_*.
HWY_BEFORE_NAMESPACE();
namespace kvloupe::block_kernels::HWY_NAMESPACE {

using Bytes = const std::uint8_t* HWY_RESTRICT;
using Values = float* HWY_RESTRICT;

HWY_INLINE std::uint16_t load16(Bytes from)
{
    std::uint16_t value = 0;
    std::memcpy(&value, from, sizeof value);
    return value;
}

HWY_INLINE std::uint32_t load32(Bytes from)
{
    std::uint32_t value = 0;
    std::memcpy(&value, from, sizeof value);
    return value;
}

// Branch-free so that whole arrays vectorise: shifting exponent and mantissa in place scales by 2^-112, which one
// exact multiplication undoes, subnormals included; infinities and NaN get their exponent back.
HWY_INLINE float fromHalf(std::uint16_t half)
{
    const std::uint32_t magnitude = (half & 0x7fffu) << 13;
    const float scaled = std::bit_cast<float>(magnitude) * std::bit_cast<float>(0x77800000u);
    const std::uint32_t special = magnitude >= 0x0f800000u ? 0x7f800000u : 0u;
    return std::bit_cast<float>(std::bit_cast<std::uint32_t>(scaled) | special | (half & 0x8000u) << 16);
}

namespace hn = hwy::HWY_NAMESPACE;
using F = hn::CappedTag<float, 16>;
using I = hn::RebindToSigned<F>;
using Q = hn::Rebind<std::uint8_t, F>;

/// `Count` values scale * (q - offset) of unsigned q.
template <int Count> HWY_INLINE void scaled(const std::uint8_t* HWY_RESTRICT q, int offset, float scale, Values out)
{
    const auto offsets = hn::Set(I(), offset);
    const auto scales = hn::Set(F(), scale);
    for (std::size_t i = 0; i < Count; i += hn::Lanes(F()))
        hn::StoreU(hn::Mul(hn::ConvertTo(F(), hn::Sub(hn::PromoteTo(I(), hn::LoadU(Q(), q + i)), offsets)), scales),
            F(), out + i);
}

/// `Count` values scale * q + minimum, rounded twice.
template <int Count>
HWY_INLINE void scaledAbove(const std::uint8_t* HWY_RESTRICT q, float scale, float minimum, Values out)
{
    const auto scales = hn::Set(F(), scale);
    const auto minima = hn::Set(F(), minimum);
    for (std::size_t i = 0; i < Count; i += hn::Lanes(F()))
        hn::StoreU(hn::Add(hn::Mul(hn::ConvertTo(F(), hn::PromoteTo(I(), hn::LoadU(Q(), q + i))), scales), minima), F(),
            out + i);
}

/// The nibbles of `Count` bytes: the low ones, then the high ones.
template <int Count> HWY_INLINE void nibbles(Bytes in, std::uint8_t* HWY_RESTRICT out)
{
    const hn::CappedTag<std::uint8_t, Count> d;
    for (std::size_t i = 0; i < Count; i += hn::Lanes(d)) {
        const auto packed = hn::LoadU(d, in + i);
        hn::StoreU(hn::And(packed, hn::Set(d, std::uint8_t{0x0f})), d, out + i);
        hn::StoreU(hn::ShiftRight<4>(packed), d, out + Count + i);
    }
}

HWY_INLINE void unpackHalves(Bytes in, std::size_t count, Values out)
{
    for (std::size_t i = 0; i < count; ++i)
        out[i] = fromHalf(load16(in + 2 * i));
}

HWY_INLINE void unpackBfloats(Bytes in, std::size_t count, Values out)
{
    for (std::size_t i = 0; i < count; ++i)
        out[i] = std::bit_cast<float>(static_cast<std::uint32_t>(load16(in + 2 * i)) << 16);
}

HWY_INLINE void q4_0(Bytes block, Values out)
{
    std::uint8_t q[32];
    nibbles<16>(block + 2, q);
    scaled<32>(q, 8, fromHalf(load16(block)), out);
}

HWY_INLINE void q4_1(Bytes block, Values out)
{
    std::uint8_t q[32];
    nibbles<16>(block + 4, q);
    scaledAbove<32>(q, fromHalf(load16(block)), fromHalf(load16(block + 2)), out);
}

/// Adds the fifth bits: bit i of the word belongs to value i.
HWY_INLINE void addFifthBits(std::uint32_t bits, std::uint8_t* q)
{
    for (int i = 0; i < 32; ++i)
        q[i] = static_cast<std::uint8_t>(q[i] | (bits >> i & 1u) << 4);
}

HWY_INLINE void q5_0(Bytes block, Values out)
{
    std::uint8_t q[32];
    nibbles<16>(block + 6, q);
    addFifthBits(load32(block + 2), q);
    scaled<32>(q, 16, fromHalf(load16(block)), out);
}

HWY_INLINE void q5_1(Bytes block, Values out)
{
    std::uint8_t q[32];
    nibbles<16>(block + 8, q);
    addFifthBits(load32(block + 4), q);
    scaledAbove<32>(q, fromHalf(load16(block)), fromHalf(load16(block + 2)), out);
}

HWY_INLINE void q8_0(Bytes block, Values out)
{
    const float scale = fromHalf(load16(block));
    for (int i = 0; i < 32; ++i)
        out[i] = scale * static_cast<float>(static_cast<std::int8_t>(block[2 + i]));
}

HWY_INLINE void q2_k(Bytes block, Values out)
{
    const float scale = fromHalf(load16(block + 80));
    const float minimumScale = fromHalf(load16(block + 82));
    KVLOUPE_UNROLL
    for (int half = 0; half < 2; ++half) {
        KVLOUPE_UNROLL
        for (int pair = 0; pair < 4; ++pair) { // 32 values share the bytes, two bits each
            KVLOUPE_UNROLL
            for (int part = 0; part < 2; ++part) {
                const int group = half * 8 + pair * 2 + part;
                const float groupScale = scale * static_cast<float>(block[group] & 0x0f);
                const float minimum = minimumScale * static_cast<float>(block[group] >> 4);
                const Bytes in = block + 16 + half * 32 + part * 16;
                std::uint8_t q[16];
                for (int i = 0; i < 16; ++i)
                    q[i] = static_cast<std::uint8_t>(in[i] >> (2 * pair) & 3);
                scaledAbove<16>(q, groupScale, -minimum, out + group * 16);
            }
        }
    }
}

HWY_INLINE void q3_k(Bytes block, Values out)
{
    const float scale = fromHalf(load16(block + 108));
    const Bytes scales = block + 96;
    KVLOUPE_UNROLL
    for (int group = 0; group < 16; ++group) {
        const int low = group < 8 ? scales[group] & 0x0f : scales[group - 8] >> 4;
        const int high = scales[8 + group % 4] >> (2 * (group / 4)) & 3;
        const float groupScale = scale * static_cast<float>((low | high << 4) - 32);
        const int half = group / 8;
        const int pair = group % 8 / 2;
        const int part = group % 2;
        const Bytes in = block + 32 + half * 32 + part * 16;
        const Bytes mask = block + part * 16;
        std::uint8_t q[16];
        for (int i = 0; i < 16; ++i) // the third bit says that 4 is not taken away
            q[i] = static_cast<std::uint8_t>((in[i] >> (2 * pair) & 3) | (mask[i] >> (half * 4 + pair) & 1) << 2);
        scaled<16>(q, 4, groupScale, out + group * 16);
    }
}

/// The eight 6-bit scales and minima of Q4_K and Q5_K.
struct GroupScales {
    float scale[8];
    float minimum[8];
};

HWY_INLINE GroupScales groupScales(Bytes block)
{
    const float scale = fromHalf(load16(block));
    const float minimumScale = fromHalf(load16(block + 2));
    const Bytes packed = block + 4;
    GroupScales result;
    for (int i = 0; i < 4; ++i) {
        const std::uint8_t rest = packed[8 + i];
        result.scale[i] = scale * static_cast<float>(packed[i] & 0x3f);
        result.minimum[i] = minimumScale * static_cast<float>(packed[4 + i] & 0x3f);
        result.scale[4 + i] = scale * static_cast<float>((rest & 0x0f) | (packed[i] >> 2 & 0x30));
        result.minimum[4 + i] = minimumScale * static_cast<float>(rest >> 4 | (packed[4 + i] >> 2 & 0x30));
    }
    return result;
}

HWY_INLINE void q4_k(Bytes block, Values out)
{
    const GroupScales scales = groupScales(block);
    for (int pair = 0; pair < 4; ++pair) {
        std::uint8_t q[64];
        nibbles<32>(block + 16 + 32 * pair, q);
        for (int part = 0; part < 2; ++part)
            scaledAbove<32>(q + 32 * part, scales.scale[2 * pair + part], -scales.minimum[2 * pair + part],
                out + 64 * pair + 32 * part);
    }
}

HWY_INLINE void q5_k(Bytes block, Values out)
{
    const GroupScales scales = groupScales(block);
    const Bytes fifth = block + 16;
    for (int pair = 0; pair < 4; ++pair) {
        std::uint8_t q[64];
        nibbles<32>(block + 48 + 32 * pair, q);
        for (int part = 0; part < 2; ++part) {
            for (int i = 0; i < 32; ++i)
                q[32 * part + i]
                    = static_cast<std::uint8_t>(q[32 * part + i] | (fifth[i] >> (2 * pair + part) & 1) << 4);
            scaledAbove<32>(q + 32 * part, scales.scale[2 * pair + part], -scales.minimum[2 * pair + part],
                out + 64 * pair + 32 * part);
        }
    }
}

HWY_INLINE void q6_k(Bytes block, Values out)
{
    const float scale = fromHalf(load16(block + 208));
    for (int half = 0; half < 2; ++half) {
        for (int pair = 0; pair < 4; ++pair) {
            const Bytes low = block + 64 * half + 32 * (pair % 2);
            const Bytes high = block + 128 + 32 * half;
            std::uint8_t q[32];
            for (int i = 0; i < 32; ++i)
                q[i]
                    = static_cast<std::uint8_t>((low[i] >> (4 * (pair / 2)) & 0x0f) | (high[i] >> (2 * pair) & 3) << 4);
            for (int part = 0; part < 2; ++part) {
                const int group = half * 8 + pair * 2 + part;
                const auto groupScale = static_cast<std::int8_t>(block[192 + group]);
                scaled<16>(q + 16 * part, 32, scale * static_cast<float>(groupScale), out + group * 16);
            }
        }
    }
}

HWY_INLINE void q8_k(Bytes block, Values out)
{
    const float scale = std::bit_cast<float>(load32(block));
    for (int i = 0; i < 256; ++i)
        out[i] = scale * static_cast<float>(static_cast<std::int8_t>(block[4 + i]));
}

// The steps of IQ4, kvalues_iq4nl; 128 is added so that they fit the same loops.
alignas(16) constexpr std::uint8_t iq4Steps[16]
    = {1, 24, 45, 63, 79, 93, 106, 118, 129, 141, 153, 166, 181, 197, 217, 241};

/// 32 values of 16 bytes of nibbles.
HWY_INLINE void iq4(Bytes in, float scale, Values out)
{
    alignas(16) std::uint8_t q[32];
    nibbles<16>(in, q);
#if HWY_TARGET == HWY_SCALAR
    for (int i = 0; i < 32; ++i)
        q[i] = iq4Steps[q[i]];
#else
    const hn::FixedTag<std::uint8_t, 16> d;
    const auto steps = hn::Load(d, iq4Steps);
    for (int i = 0; i < 32; i += 16)
        hn::Store(hn::TableLookupBytes(steps, hn::Load(d, q + i)), d, q + i);
#endif
    scaled<32>(q, 128, scale, out);
}

HWY_INLINE void iq4_nl(Bytes block, Values out)
{
    iq4(block + 2, fromHalf(load16(block)), out);
}

HWY_INLINE void iq4_xs(Bytes block, Values out)
{
    const float scale = fromHalf(load16(block));
    const unsigned high = load16(block + 2);
    for (int group = 0; group < 8; ++group) {
        const int low = block[4 + group / 2] >> (4 * (group % 2)) & 0x0f;
        const int bits = low | static_cast<int>(high >> (2 * group) & 3u) << 4;
        iq4(block + 8 + 16 * group, scale * static_cast<float>(bits - 32), out + 32 * group);
    }
}

/// By the largest magnitude as bits: whatever reaches the exponent of infinities is one, or NaN.
bool finite(const float* HWY_RESTRICT values, std::size_t count)
{
    const hn::ScalableTag<float> floats;
    const hn::RebindToSigned<decltype(floats)> d;
    const std::size_t lanes = hn::Lanes(d);
    const auto magnitude
        = [&](const float* from) { return hn::And(hn::BitCast(d, hn::LoadU(floats, from)), hn::Set(d, 0x7fffffff)); };
    // Two maxima, so that one comparison need not wait for the other.
    auto first = hn::Zero(d);
    auto second = hn::Zero(d);
    std::size_t i = 0;
    for (; i + 2 * lanes <= count; i += 2 * lanes) {
        first = hn::Max(first, magnitude(values + i));
        second = hn::Max(second, magnitude(values + i + lanes));
    }
    std::int32_t largest = hn::GetLane(hn::MaxOfLanes(d, hn::Max(first, second)));
    for (; i < count; ++i)
        largest = std::max(largest, std::bit_cast<std::int32_t>(values[i]) & 0x7fffffff);
    return largest < 0x7f800000;
}

template <auto unpack> void each(Bytes blocks, DataType type, std::size_t count, Values out)
{
    const auto bytes = static_cast<std::size_t>(blockBytes(type));
    const auto length = static_cast<std::size_t>(blockLength(type));
    for (std::size_t block = 0; block < count; ++block)
        unpack(blocks + block * bytes, out + block * length);
}

void unpack(DataType type, Bytes blocks, std::size_t count, Values out)
{
    switch (type) {
    case DataType::F32:
        return;
    case DataType::F16:
        return unpackHalves(blocks, count, out);
    case DataType::BF16:
        return unpackBfloats(blocks, count, out);
    case DataType::Q4_0:
        return each<q4_0>(blocks, type, count, out);
    case DataType::Q4_1:
        return each<q4_1>(blocks, type, count, out);
    case DataType::Q5_0:
        return each<q5_0>(blocks, type, count, out);
    case DataType::Q5_1:
        return each<q5_1>(blocks, type, count, out);
    case DataType::Q8_0:
        return each<q8_0>(blocks, type, count, out);
    case DataType::Q2_K:
        return each<q2_k>(blocks, type, count, out);
    case DataType::Q3_K:
        return each<q3_k>(blocks, type, count, out);
    case DataType::Q4_K:
        return each<q4_k>(blocks, type, count, out);
    case DataType::Q5_K:
        return each<q5_k>(blocks, type, count, out);
    case DataType::Q6_K:
        return each<q6_k>(blocks, type, count, out);
    case DataType::Q8_K:
        return each<q8_k>(blocks, type, count, out);
    case DataType::IQ4_NL:
        return each<iq4_nl>(blocks, type, count, out);
    case DataType::IQ4_XS:
        return each<iq4_xs>(blocks, type, count, out);
    }
}

} // namespace kvloupe::block_kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace kvloupe {
namespace block_kernels {
HWY_EXPORT(unpack);
HWY_EXPORT(finite);
} // namespace block_kernels

void unpackBlocks(DataType type, std::span<const std::byte> blocks, std::span<float> out)
{
    const std::size_t count = out.size() / static_cast<std::size_t>(blockLength(type));
    HWY_DYNAMIC_DISPATCH(block_kernels::unpack)
    (type, reinterpret_cast<const std::uint8_t*>(blocks.data()), count, out.data());
}

bool areFinite(std::span<const float> values)
{
    return HWY_DYNAMIC_DISPATCH(block_kernels::finite)(values.data(), values.size());
}

} // namespace kvloupe
#endif
