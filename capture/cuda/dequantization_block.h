// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/checkpoint/tensor_types.h"
#include "capture/cuda/element_conversion.h"

#include <cstdint>
#include <type_traits>

namespace kvloupe::cuda {

/// One value of a block of a GGUF type: the numbers of core's dequantize to the last bit. That needs products and sums
/// that round separately: what includes this is compiled without contraction (nvcc -fmad=false). Formulas and layouts:
/// ggml-quants.c, dequantize_row_*.
template <DataType type> struct GgufBlock;

KVLOUPE_DEVICE std::uint32_t byteAt(const std::uint8_t* from, int i)
{
    return from[i];
}
KVLOUPE_DEVICE std::uint16_t wordAt(const std::uint8_t* from)
{
    return static_cast<std::uint16_t>(byteAt(from, 0) | byteAt(from, 1) << 8);
}
KVLOUPE_DEVICE float halfAt(const std::uint8_t* from)
{
    return widenHalf(wordAt(from));
}
KVLOUPE_DEVICE std::uint32_t longAt(const std::uint8_t* from)
{
    return byteAt(from, 0) | byteAt(from, 1) << 8 | byteAt(from, 2) << 16 | byteAt(from, 3) << 24;
}
/// Value i of `half` bytes whose low nibbles come first.
KVLOUPE_DEVICE int nibbleAt(const std::uint8_t* from, int half, int i)
{
    return static_cast<int>(i < half ? byteAt(from, i) & 0x0fU : byteAt(from, i - half) >> 4);
}
KVLOUPE_DEVICE float signedAt(const std::uint8_t* from, int i)
{
    return static_cast<float>(static_cast<std::int8_t>(from[i]));
}

template <> struct GgufBlock<DataType::F32> {
    static constexpr int length = 1;
    static constexpr int bytes = 4;
    KVLOUPE_DEVICE static float value(const std::uint8_t* block, int) { return std::bit_cast<float>(longAt(block)); }
};

template <> struct GgufBlock<DataType::F16> {
    static constexpr int length = 1;
    static constexpr int bytes = 2;
    KVLOUPE_DEVICE static float value(const std::uint8_t* block, int) { return halfAt(block); }
};

template <> struct GgufBlock<DataType::BF16> {
    static constexpr int length = 1;
    static constexpr int bytes = 2;
    KVLOUPE_DEVICE static float value(const std::uint8_t* block, int) { return widen(Bfloat16{wordAt(block)}); }
};

template <> struct GgufBlock<DataType::Q4_0> {
    static constexpr int length = 32;
    static constexpr int bytes = 18;
    KVLOUPE_DEVICE static float value(const std::uint8_t* block, int i)
    {
        return static_cast<float>(nibbleAt(block + 2, 16, i) - 8) * halfAt(block);
    }
};

template <> struct GgufBlock<DataType::Q4_1> {
    static constexpr int length = 32;
    static constexpr int bytes = 20;
    KVLOUPE_DEVICE static float value(const std::uint8_t* block, int i)
    {
        return static_cast<float>(nibbleAt(block + 4, 16, i)) * halfAt(block) + halfAt(block + 2);
    }
};

template <> struct GgufBlock<DataType::Q5_0> {
    static constexpr int length = 32;
    static constexpr int bytes = 22;
    KVLOUPE_DEVICE static float value(const std::uint8_t* block, int i)
    {
        const int fifth = static_cast<int>(longAt(block + 2) >> i & 1U) << 4;
        return static_cast<float>((nibbleAt(block + 6, 16, i) | fifth) - 16) * halfAt(block);
    }
};

template <> struct GgufBlock<DataType::Q5_1> {
    static constexpr int length = 32;
    static constexpr int bytes = 24;
    KVLOUPE_DEVICE static float value(const std::uint8_t* block, int i)
    {
        const int fifth = static_cast<int>(longAt(block + 4) >> i & 1U) << 4;
        return static_cast<float>(nibbleAt(block + 8, 16, i) | fifth) * halfAt(block) + halfAt(block + 2);
    }
};

template <> struct GgufBlock<DataType::Q8_0> {
    static constexpr int length = 32;
    static constexpr int bytes = 34;
    KVLOUPE_DEVICE static float value(const std::uint8_t* block, int i)
    {
        return halfAt(block) * signedAt(block + 2, i);
    }
};

template <> struct GgufBlock<DataType::Q2_K> {
    static constexpr int length = 256;
    static constexpr int bytes = 84;
    KVLOUPE_DEVICE static float value(const std::uint8_t* block, int i)
    {
        const int group = i / 16; // half, pair of bits, part
        const std::uint32_t scales = byteAt(block, group);
        const float scale = halfAt(block + 80) * static_cast<float>(scales & 0x0fU);
        const float minimum = halfAt(block + 82) * static_cast<float>(scales >> 4);
        const int byte = 16 + group / 8 * 32 + group % 2 * 16 + i % 16;
        return static_cast<float>(byteAt(block, byte) >> (2 * (group % 8 / 2)) & 3U) * scale + -minimum;
    }
};

template <> struct GgufBlock<DataType::Q3_K> {
    static constexpr int length = 256;
    static constexpr int bytes = 110;
    KVLOUPE_DEVICE static float value(const std::uint8_t* block, int i)
    {
        const int group = i / 16;
        const int half = group / 8;
        const int pair = group % 8 / 2;
        const int byte = group % 2 * 16 + i % 16;
        const std::uint8_t* scales = block + 96;
        const std::uint32_t low = group < 8 ? byteAt(scales, group) & 0x0fU : byteAt(scales, group - 8) >> 4;
        const std::uint32_t high = byteAt(scales, 8 + group % 4) >> (2 * (group / 4)) & 3U;
        const float scale = halfAt(block + 108) * static_cast<float>(static_cast<int>(low | high << 4) - 32);
        const std::uint32_t two = byteAt(block, 32 + half * 32 + byte) >> (2 * pair) & 3U;
        const std::uint32_t third = byteAt(block, byte) >> (half * 4 + pair) & 1U; // says that 4 is not taken away
        return static_cast<float>(static_cast<int>(two | third << 2) - 4) * scale;
    }
};

/// Scale and minimum of one of the eight groups of Q4_K and Q5_K, six bits each.
struct GroupScale {
    float scale;
    float minimum;

    KVLOUPE_DEVICE GroupScale(const std::uint8_t* block, int group)
    {
        const std::uint8_t* packed = block + 4;
        const int i = group % 4;
        const std::uint32_t rest = byteAt(packed, 8 + i);
        const std::uint32_t first = byteAt(packed, i);
        const std::uint32_t second = byteAt(packed, 4 + i);
        const std::uint32_t a = group < 4 ? first & 0x3fU : (rest & 0x0fU) | (first >> 2 & 0x30U);
        const std::uint32_t b = group < 4 ? second & 0x3fU : rest >> 4 | (second >> 2 & 0x30U);
        scale = halfAt(block) * static_cast<float>(a);
        minimum = halfAt(block + 2) * static_cast<float>(b);
    }
};

template <> struct GgufBlock<DataType::Q4_K> {
    static constexpr int length = 256;
    static constexpr int bytes = 144;
    KVLOUPE_DEVICE static float value(const std::uint8_t* block, int i)
    {
        const GroupScale group(block, i / 32);
        return static_cast<float>(nibbleAt(block + 16 + i / 64 * 32, 32, i % 64)) * group.scale + -group.minimum;
    }
};

template <> struct GgufBlock<DataType::Q5_K> {
    static constexpr int length = 256;
    static constexpr int bytes = 176;
    KVLOUPE_DEVICE static float value(const std::uint8_t* block, int i)
    {
        const GroupScale group(block, i / 32);
        const int fifth = static_cast<int>(byteAt(block, 16 + i % 32) >> (i / 32) & 1U) << 4;
        return static_cast<float>(nibbleAt(block + 48 + i / 64 * 32, 32, i % 64) | fifth) * group.scale
            + -group.minimum;
    }
};

template <> struct GgufBlock<DataType::Q6_K> {
    static constexpr int length = 256;
    static constexpr int bytes = 210;
    KVLOUPE_DEVICE static float value(const std::uint8_t* block, int i)
    {
        const int half = i / 128;
        const int pair = i % 128 / 32;
        const std::uint32_t low = byteAt(block, 64 * half + 32 * (pair % 2) + i % 32) >> (4 * (pair / 2)) & 0x0fU;
        const std::uint32_t high = byteAt(block, 128 + 32 * half + i % 32) >> (2 * pair) & 3U;
        const float scale = halfAt(block + 208) * signedAt(block + 192, i / 16);
        return static_cast<float>(static_cast<int>(low | high << 4) - 32) * scale;
    }
};

template <> struct GgufBlock<DataType::Q8_K> {
    static constexpr int length = 256;
    static constexpr int bytes = 292;
    KVLOUPE_DEVICE static float value(const std::uint8_t* block, int i)
    {
        return std::bit_cast<float>(longAt(block)) * signedAt(block + 4, i);
    }
};

/// The steps of IQ4, kvalues_iq4nl: eight in a word each, as bytes with 128 added.
KVLOUPE_DEVICE float iq4Step(int q)
{
    constexpr std::uint64_t low = 0x766a5d4f3f2d1801ULL;
    constexpr std::uint64_t high = 0xf1d9c5b5a6998d81ULL;
    return static_cast<float>(static_cast<int>((q < 8 ? low : high) >> (8 * (q % 8)) & 0xffU) - 128);
}

template <> struct GgufBlock<DataType::IQ4_NL> {
    static constexpr int length = 32;
    static constexpr int bytes = 18;
    KVLOUPE_DEVICE static float value(const std::uint8_t* block, int i)
    {
        return iq4Step(nibbleAt(block + 2, 16, i)) * halfAt(block);
    }
};

template <> struct GgufBlock<DataType::IQ4_XS> {
    static constexpr int length = 256;
    static constexpr int bytes = 136;
    KVLOUPE_DEVICE static float value(const std::uint8_t* block, int i)
    {
        const int group = i / 32;
        const std::uint32_t low = byteAt(block, 4 + group / 2) >> (4 * (group % 2)) & 0x0fU;
        const std::uint32_t high = static_cast<std::uint32_t>(wordAt(block + 2)) >> (2 * group) & 3U;
        const float scale = halfAt(block) * static_cast<float>(static_cast<int>(low | high << 4) - 32);
        return iq4Step(nibbleAt(block + 8 + 16 * group, 16, i % 32)) * scale;
    }
};

/// Values of whole blocks, rounded to Element.
template <typename Element> struct DequantizationInput {
    const std::uint8_t* blocks;
    std::int64_t values; ///< a multiple of the block length
    Element* out;
    /// Lowered to the smallest index of a number that is infinite or NaN before it is rounded; may be null.
    std::uint32_t* firstNotFinite = nullptr;
};

/// f(type) with the type as a constant, for every type.
template <typename F> void withDataType(DataType type, F&& f)
{
    const auto call = [&]<DataType constant>() { f(std::integral_constant<DataType, constant>()); };
    switch (type) {
    case DataType::F32:
        return call.template operator()<DataType::F32>();
    case DataType::F16:
        return call.template operator()<DataType::F16>();
    case DataType::BF16:
        return call.template operator()<DataType::BF16>();
    case DataType::Q4_0:
        return call.template operator()<DataType::Q4_0>();
    case DataType::Q4_1:
        return call.template operator()<DataType::Q4_1>();
    case DataType::Q5_0:
        return call.template operator()<DataType::Q5_0>();
    case DataType::Q5_1:
        return call.template operator()<DataType::Q5_1>();
    case DataType::Q8_0:
        return call.template operator()<DataType::Q8_0>();
    case DataType::Q2_K:
        return call.template operator()<DataType::Q2_K>();
    case DataType::Q3_K:
        return call.template operator()<DataType::Q3_K>();
    case DataType::Q4_K:
        return call.template operator()<DataType::Q4_K>();
    case DataType::Q5_K:
        return call.template operator()<DataType::Q5_K>();
    case DataType::Q6_K:
        return call.template operator()<DataType::Q6_K>();
    case DataType::Q8_K:
        return call.template operator()<DataType::Q8_K>();
    case DataType::IQ4_NL:
        return call.template operator()<DataType::IQ4_NL>();
    case DataType::IQ4_XS:
        return call.template operator()<DataType::IQ4_XS>();
    }
}

/// Four values per lane, `warpLanes` apart, so that neighbouring lanes write neighbouring values. Grid: x = values / (4
/// lanes of a block).
template <DataType type, typename Warp, typename Element>
KVLOUPE_DEVICE void dequantizeBlocks(Warp& warp, const DequantizationInput<Element>& input)
{
    using Block = GgufBlock<type>;
    constexpr int perLane = 4;
    const std::int64_t begin
        = (static_cast<std::int64_t>(warp.block(0)) * warp.count() + warp.index()) * (perLane * warpLanes);
    warp.lanes([&](int lane) {
        KVLOUPE_UNROLLED
        for (int i = 0; i < perLane; ++i) {
            const std::int64_t at = begin + i * warpLanes + lane;
            if (at >= input.values)
                return;
            const float value
                = Block::value(input.blocks + at / Block::length * Block::bytes, static_cast<int>(at % Block::length));
            if (input.firstNotFinite != nullptr && (std::bit_cast<std::uint32_t>(value) & 0x7f800000U) == 0x7f800000U)
                warp.lowerTo(input.firstNotFinite, static_cast<std::uint32_t>(at));
            if constexpr (std::is_same_v<Element, float>)
                input.out[at] = value;
            else
                input.out[at].bits = static_cast<std::uint16_t>(Warp::template pack<Element>(value, 0.0F));
        }
    });
}

} // namespace kvloupe::cuda
