// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/checkpoint/tensor_types.h"

#include "capture/checkpoint/block_kernels.h"
#include "capture/checkpoint/checkpoint_error.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
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
    TypeFacts{DataType::Q2_K, "Q2_K", 10, 256, 84},
    TypeFacts{DataType::Q3_K, "Q3_K", 11, 256, 110},
    TypeFacts{DataType::Q4_K, "Q4_K", 12, 256, 144},
    TypeFacts{DataType::Q5_K, "Q5_K", 13, 256, 176},
    TypeFacts{DataType::Q6_K, "Q6_K", 14, 256, 210},
    TypeFacts{DataType::Q8_K, "Q8_K", 15, 256, 292},
    TypeFacts{DataType::IQ4_NL, "IQ4_NL", 20, 32, 18},
    TypeFacts{DataType::IQ4_XS, "IQ4_XS", 23, 256, 136},
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

std::string dataTypeNames()
{
    std::string names;
    for (const TypeFacts& facts : typeFacts)
        names += fmt::format("{}{}", names.empty() ? "" : ", ", facts.name);
    return names;
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
    if (out.empty())
        return;
    if (type == DataType::F32)
        std::memcpy(out.data(), blocks.data(), blocks.size());
    else
        unpackBlocks(type, blocks, out);
}

std::optional<std::size_t> dequantizeFinite(DataType type, std::span<const std::byte> blocks, std::span<float> out)
{
    constexpr std::size_t most = 4096; // 16 KB stay in the first cache; whole blocks of every type
    const auto length = static_cast<std::size_t>(blockLength(type));
    const auto bytes = static_cast<std::size_t>(blockBytes(type));
    if (out.empty())
        dequantize(type, blocks, out);
    for (std::size_t begin = 0; begin < out.size(); begin += most) {
        const bool isLast = out.size() - begin <= most;
        const auto part = out.subspan(begin, isLast ? std::dynamic_extent : most);
        const std::size_t from = std::min(begin / length * bytes, blocks.size());
        const std::size_t to = isLast ? blocks.size() : std::min((begin + most) / length * bytes, blocks.size());
        dequantize(type, blocks.subspan(from, to - from), part);
        if (!areFinite(part))
            return begin + static_cast<std::size_t>(std::ranges::find_if_not(part, [](float value) {
                return std::isfinite(value);
            }) - part.begin());
    }
    return std::nullopt;
}

} // namespace kvloupe
