// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/checkpoint/mapped_file.h"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kvloupe {

struct SafetensorsEntry {
    std::string name;
    std::string dtype; ///< as in the file: "F32", "BF16", "I64", ...
    std::vector<std::int64_t> shape;
    std::span<const std::byte> bytes;
};

/// Bytes per value of a type that the format defines in whole bytes; 0 for any other.
std::uint64_t safetensorsTypeBytes(std::string_view dtype);

/// One safetensors file: an 8-byte length, a JSON header, data. Format: https://github.com/huggingface/safetensors.
///
/// The header is checked when the file is opened: every tensor lies inside the file, is as long as its shape and type
/// say and overlaps no other. Types that are not floating point are listed too. Errors are CheckpointError naming the
/// file and the tensor.
class SafetensorsFile {
public:
    explicit SafetensorsFile(const std::filesystem::path& path);

    const std::filesystem::path& path() const { return m_file.path(); }
    std::span<const std::byte> bytes() const { return m_file.bytes(); }
    const MappedFile& mapping() const { return m_file; }
    std::span<const SafetensorsEntry> tensors() const { return m_tensors; } ///< ordered by name

private:
    MappedFile m_file;
    std::vector<SafetensorsEntry> m_tensors;
};

} // namespace kvloupe
