// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/checkpoint/tensor_types.h"

#include "capture/checkpoint/checkpoint_error.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

namespace kvloupe {

namespace {

struct TypeFacts {
    DataType type;
    std::string_view name;
    std::uint32_t ggmlNumber;
    int blockLength;
    int blockBytes;
};

constexpr std::array typeFacts = {
    TypeFacts{DataType::F32, "F32", 0, 1, 4},
    TypeFacts{DataType::F16, "F16", 1, 1, 2},
    TypeFacts{DataType::BF16, "BF16", 30, 1, 2},
    TypeFacts{DataType::Q4_0, "Q4_0", 2, 32, 18},
    TypeFacts{DataType::Q4_1, "Q4_1", 3, 32, 20},
    TypeFacts{DataType::Q5_0, "Q5_0", 6, 32, 22},
    TypeFacts{DataType::Q5_1, "Q5_1", 7, 32, 24},
    TypeFacts{DataType::Q8_0, "Q8_0", 8, 32, 34},
};

// ggml.h, enum ggml_type; gaps are types that were removed from ggml.
constexpr std::array<std::string_view, 41> ggmlNames = {"F32", "F16", "Q4_0", "Q4_1", "Q4_2", "Q4_3", "Q5_0", "Q5_1",
    "Q8_0", "Q8_1", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "Q8_K", "IQ2_XXS", "IQ2_XS", "IQ3_XXS", "IQ1_S", "IQ4_NL",
    "IQ3_S", "IQ2_S", "IQ4_XS", "I8", "I16", "I32", "I64", "F64", "IQ1_M", "BF16", "Q4_0_4_4", "Q4_0_4_8", "Q4_0_8_8",
    "TQ1_0", "TQ2_0", "IQ4_NL_4_4", "IQ4_NL_4_8", "IQ4_NL_8_8", "MXFP4", "NVFP4"};

const TypeFacts& factsOf(DataType type)
{
    return typeFacts.at(static_cast<std::size_t>(type));
}

std::uint16_t load16(const std::byte* from)
{
    std::uint16_t value = 0;
    std::memcpy(&value, from, sizeof value);
    return value;
}

std::uint32_t load32(const std::byte* from)
{
    std::uint32_t value = 0;
    std::memcpy(&value, from, sizeof value);
    return value;
}

// Branch-free so that whole arrays vectorise: shifting exponent and mantissa in place scales by 2^-112, which one
// exact multiplication undoes, subnormals included; infinities and NaN get their exponent back.
float fromHalf(std::uint16_t half)
{
    const std::uint32_t magnitude = (half & 0x7fffu) << 13;
    const float scaled = std::bit_cast<float>(magnitude) * std::bit_cast<float>(0x77800000u);
    const std::uint32_t special = magnitude >= 0x0f800000u ? 0x7f800000u : 0u;
    return std::bit_cast<float>(std::bit_cast<std::uint32_t>(scaled) | special | (half & 0x8000u) << 16);
}

void fromHalves(const std::byte* in, std::span<float> out)
{
    for (std::size_t i = 0; i < out.size(); ++i)
        out[i] = fromHalf(load16(in + 2 * i));
}

void fromBfloats(const std::byte* in, std::span<float> out)
{
    for (std::size_t i = 0; i < out.size(); ++i)
        out[i] = std::bit_cast<float>(static_cast<std::uint32_t>(load16(in + 2 * i)) << 16);
}

int nibbleLow(std::byte value)
{
    return std::to_integer<int>(value & std::byte{0x0f});
}
int nibbleHigh(std::byte value)
{
    return std::to_integer<int>(value >> 4);
}

// The blocks of ggml-quants.c: value = scale * (q - offset), or scale * q + minimum; nibbles of value i and i + 16
// share a byte; the fifth bit of value i is bit i of a 32-bit word.
void unpackQ4_0(const std::byte* block, float* out)
{
    const float scale = fromHalf(load16(block));
    for (int i = 0; i < 16; ++i) {
        out[i] = scale * static_cast<float>(nibbleLow(block[2 + i]) - 8);
        out[i + 16] = scale * static_cast<float>(nibbleHigh(block[2 + i]) - 8);
    }
}

void unpackQ4_1(const std::byte* block, float* out)
{
    const float scale = fromHalf(load16(block));
    const float minimum = fromHalf(load16(block + 2));
    for (int i = 0; i < 16; ++i) {
        out[i] = scale * static_cast<float>(nibbleLow(block[4 + i])) + minimum;
        out[i + 16] = scale * static_cast<float>(nibbleHigh(block[4 + i])) + minimum;
    }
}

void unpackQ5_0(const std::byte* block, float* out)
{
    const float scale = fromHalf(load16(block));
    const std::uint32_t fifthBits = load32(block + 2);
    for (int i = 0; i < 16; ++i) {
        const int low = nibbleLow(block[6 + i]) | static_cast<int>((fifthBits >> i & 1u) << 4);
        const int high = nibbleHigh(block[6 + i]) | static_cast<int>((fifthBits >> (i + 16) & 1u) << 4);
        out[i] = scale * static_cast<float>(low - 16);
        out[i + 16] = scale * static_cast<float>(high - 16);
    }
}

void unpackQ5_1(const std::byte* block, float* out)
{
    const float scale = fromHalf(load16(block));
    const float minimum = fromHalf(load16(block + 2));
    const std::uint32_t fifthBits = load32(block + 4);
    for (int i = 0; i < 16; ++i) {
        const int low = nibbleLow(block[8 + i]) | static_cast<int>((fifthBits >> i & 1u) << 4);
        const int high = nibbleHigh(block[8 + i]) | static_cast<int>((fifthBits >> (i + 16) & 1u) << 4);
        out[i] = scale * static_cast<float>(low) + minimum;
        out[i + 16] = scale * static_cast<float>(high) + minimum;
    }
}

void unpackQ8_0(const std::byte* block, float* out)
{
    const float scale = fromHalf(load16(block));
    for (int i = 0; i < 32; ++i)
        out[i] = scale * static_cast<float>(static_cast<std::int8_t>(block[2 + i]));
}

template <auto unpack> void unpackBlocks(DataType type, std::span<const std::byte> blocks, std::span<float> out)
{
    const auto stride = static_cast<std::size_t>(blockBytes(type));
    const std::size_t count = blocks.size() / stride;
    for (std::size_t block = 0; block < count; ++block)
        unpack(blocks.data() + block * stride, out.data() + block * 32);
}

} // namespace

std::int64_t TensorInfo::rows() const
{
    return shape.size() < 2 ? 1 : shape.front();
}

std::int64_t TensorInfo::rowLength() const
{
    std::int64_t product = 1;
    for (std::size_t i = shape.size() < 2 ? 0 : 1; i < shape.size(); ++i)
        product *= shape[i];
    return product;
}

std::string_view dataTypeName(DataType type)
{
    return factsOf(type).name;
}
int blockLength(DataType type)
{
    return factsOf(type).blockLength;
}
int blockBytes(DataType type)
{
    return factsOf(type).blockBytes;
}

std::optional<DataType> dataTypeOfGgml(std::uint32_t number)
{
    const auto found = std::ranges::find(typeFacts, number, &TypeFacts::ggmlNumber);
    return found == typeFacts.end() ? std::nullopt : std::optional(found->type);
}

std::string ggmlTypeName(std::uint32_t number)
{
    return number < ggmlNames.size() ? std::string(ggmlNames.at(number)) : fmt::format("type {}", number);
}

void dequantize(DataType type, std::span<const std::byte> blocks, std::span<float> out)
{
    const auto length = static_cast<std::size_t>(blockLength(type));
    const auto bytes = static_cast<std::size_t>(blockBytes(type));
    if (out.size() % length != 0 || blocks.size() / bytes != out.size() / length || blocks.size() % bytes != 0)
        throw CheckpointError(
            fmt::format("{} bytes of {} blocks do not hold {} values", blocks.size(), dataTypeName(type), out.size()));
    switch (type) {
    case DataType::F32:
        if (!out.empty())
            std::memcpy(out.data(), blocks.data(), blocks.size());
        return;
    case DataType::F16:
        return fromHalves(blocks.data(), out);
    case DataType::BF16:
        return fromBfloats(blocks.data(), out);
    case DataType::Q4_0:
        return unpackBlocks<unpackQ4_0>(type, blocks, out);
    case DataType::Q4_1:
        return unpackBlocks<unpackQ4_1>(type, blocks, out);
    case DataType::Q5_0:
        return unpackBlocks<unpackQ5_0>(type, blocks, out);
    case DataType::Q5_1:
        return unpackBlocks<unpackQ5_1>(type, blocks, out);
    case DataType::Q8_0:
        return unpackBlocks<unpackQ8_0>(type, blocks, out);
    }
}

} // namespace kvloupe
