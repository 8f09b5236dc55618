// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/recording/hdf5_node.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace kvloupe::hdf5 {

/// Reads variable-length strings of a contiguous dataset from the file itself.
///
/// HDF5 keeps them in global heap collections, the one structure of its newer formats without a checksum, and version
/// 1.10 trusts what it finds there: a damaged byte can make H5Dread crash. Here every size and index is checked.
/// Layout: HDF5 File Format Specification 3.0, III.E "Global Heap" and IV.A.2.d, class 9.
class HeapStrings {
public:
    /// `dataset` has `count` elements of `elementBytes` bytes in the file.
    HeapStrings(const Node& dataset, std::uint64_t count, std::size_t elementBytes);

    /// The bytes of all elements as they are in the file.
    std::span<const std::byte> elements() const { return m_elements; }
    /// The string whose reference (length, heap address, index: 16 bytes) lies at `offset` of elements().
    std::string string(std::size_t offset);

    static constexpr std::size_t referenceBytes = 16;

private:
    struct Collection {
        std::vector<std::byte> bytes;
        std::map<std::uint16_t, std::span<const std::byte>> objects;
    };
    const Collection& collection(std::uint64_t address);
    std::vector<std::byte> readBytes(std::uint64_t address, std::uint64_t size) const;
    [[noreturn]] void damaged(std::uint64_t address, const std::string& what) const;

    std::string m_file;
    std::string m_where;
    std::uint64_t m_fileBytes;
    std::vector<std::byte> m_elements;
    std::map<std::uint64_t, Collection> m_collections;
};

} // namespace kvloupe::hdf5
