// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kvloupe {

/// How the numbers of a tensor are stored. The Qn_m types are ggml's blocks of 32 values that share a scale, the Qn_K
/// and IQ4_XS blocks of 256 values in groups with scales of their own.
enum class DataType {
    F32,
    F16,
    BF16,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q2_K,
    Q3_K,
    Q4_K,
    Q5_K,
    Q6_K,
    Q8_K,
    IQ4_NL,
    IQ4_XS
};

struct TensorInfo {
    std::string name; ///< as Hugging Face names it
    std::vector<std::int64_t> shape; ///< row-major, the outermost dimension first
    DataType type = DataType::F32;

    /// A tensor of one dimension is one row of all its values; any other has shape[0] rows.
    std::int64_t rows() const;
    std::int64_t rowLength() const; ///< values per row
};

std::string_view dataTypeName(DataType type);
/// "F32, F16, BF16, ...", for messages.
std::string dataTypeNames();

/// Values per block and bytes per block; 1 and the size of a number for F32, F16 and BF16.
int blockLength(DataType type);
int blockBytes(DataType type);

/// The type with this number in ggml's list, if we read it.
std::optional<DataType> dataTypeOfGgml(std::uint32_t number);
/// "Q6_K" and so on; "type 99" for a number that ggml does not define.
std::string ggmlTypeName(std::uint32_t number);

/// Numbers of a stored type to float32, equal to ggml's own dequantisation to the last bit. `blocks` holds whole blocks
/// for exactly `out.size()` values; throws CheckpointError otherwise.
void dequantize(DataType type, std::span<const std::byte> blocks, std::span<float> out);

/// The same, and whether every number is finite: the index of the first that is not, or nothing. The numbers are looked
/// at while they are in the cache, which costs next to nothing.
std::optional<std::size_t> dequantizeFinite(DataType type, std::span<const std::byte> blocks, std::span<float> out);

} // namespace kvloupe
