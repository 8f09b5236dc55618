// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/checkpoint/checkpoint_error.h"
#include "capture/checkpoint/mapped_file.h"

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kvloupe {

class GgufCursor;

/// Value types of GGUF metadata, as numbered in the file.
enum class GgufType : std::uint32_t { U8, I8, U16, I16, U32, I32, F32, Bool, String, Array, U64, I64, F64 };

/// One metadata value; `bytes` is its payload inside the mapped file: the number, the text of a string, or the elements
/// of an array (strings in an array keep their 8-byte lengths).
struct GgufValue {
    GgufType type = GgufType::U8;
    GgufType elementType = GgufType::U8; ///< of an array
    std::uint64_t count = 1; ///< elements of an array
    std::span<const std::byte> bytes;
};

/// One entry of the tensor directory, dimensions in the order of the file: the fastest first.
struct GgufTensor {
    std::string_view name;
    std::vector<std::int64_t> dimensions;
    std::uint32_t type = 0; ///< ggml type number
    std::span<const std::byte> bytes; ///< empty if the type is none of ours
};

/// The container of GGUF version 2 and 3: metadata and tensors by name, checked against the bounds of the file.
///
/// Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. Every count, length and offset is checked when
/// the file is opened; string_views and spans point into the mapping and live as long as this object. All errors are
/// CheckpointError and name the file and the field.
class GgufFile {
public:
    explicit GgufFile(const std::filesystem::path& path);

    /// Whether the file begins with the GGUF magic; false if it cannot be read.
    static bool recognise(const std::filesystem::path& path);

    const std::filesystem::path& path() const { return m_file.path(); }
    std::span<const std::byte> bytes() const { return m_file.bytes(); }
    const MappedFile& mapping() const { return m_file; }
    std::uint32_t version() const { return m_version; }
    const std::map<std::string, GgufValue, std::less<>>& metadata() const { return m_metadata; }
    std::span<const GgufTensor> tensors() const { return m_tensors; }

    const GgufTensor* findTensor(std::string_view name) const; ///< nullptr if there is none
    bool has(std::string_view key) const { return m_metadata.find(key) != m_metadata.end(); }

    /// Typed values; empty when the key is absent, CheckpointError when it holds another type or a value outside the
    /// range.
    std::optional<std::int64_t> findInteger(std::string_view key, std::int64_t minimum, std::int64_t maximum) const;
    std::optional<double> findReal(std::string_view key) const;
    std::optional<bool> findBool(std::string_view key) const;
    std::optional<std::string_view> findString(std::string_view key) const;
    std::optional<std::vector<std::string_view>> findStrings(std::string_view key) const;
    std::optional<std::vector<std::int64_t>> findIntegers(std::string_view key) const;
    std::optional<std::vector<float>> findReals(std::string_view key) const; ///< finite

    std::int64_t requireInteger(std::string_view key, std::int64_t minimum, std::int64_t maximum) const;
    std::string_view requireString(std::string_view key) const;

    /// "FILE: KEY: PROBLEM", ready to throw.
    CheckpointError error(std::string_view key, std::string_view problem) const;

private:
    const GgufValue* find(std::string_view key) const;
    void readMetadata(GgufCursor& cursor, std::uint64_t count);
    void readTensors(GgufCursor& cursor, std::uint64_t count);
    void placeTensors(std::span<const std::uint64_t> offsets, std::size_t directoryEnd);

    MappedFile m_file;
    std::uint32_t m_version = 0;
    std::map<std::string, GgufValue, std::less<>> m_metadata;
    std::vector<GgufTensor> m_tensors;
};

std::string_view ggufTypeName(GgufType type);

} // namespace kvloupe
