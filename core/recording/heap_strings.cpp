// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/recording/heap_strings.h"

#include "core/recording/chunk_codec.h"

#include <fmt/format.h>

#include <cstring>
#include <fstream>

namespace kvloupe::hdf5 {
namespace {

constexpr std::size_t headerBytes = 16;
constexpr std::size_t alignment = 8;

template <class Value> Value littleEndian(std::span<const std::byte> bytes, std::size_t offset)
{
    Value value = 0;
    for (std::size_t i = 0; i < sizeof(Value); ++i) {
        value = static_cast<Value>(
            value | static_cast<Value>(std::to_integer<std::uint64_t>(bytes[offset + i]) << (8 * i)));
    }
    return value;
}

} // namespace

HeapStrings::HeapStrings(const Node& dataset, std::uint64_t count, std::size_t elementBytes)
    : m_file(dataset.file)
    , m_where(dataset.where())
    , m_fileBytes(dataset.fileBytes)
{
    const Lock held = lock();
    const Handle creation(H5Dget_create_plist(dataset.id.id()), m_where);
    if (H5Pget_layout(creation.id()) != H5D_CONTIGUOUS) {
        throw RecordingError(fmt::format("{}: expected a dataset stored contiguously", m_where));
    }
    const Handle file(H5Iget_file_id(dataset.id.id()), m_where);
    const Handle fileCreation(H5Fget_create_plist(file.id()), m_where);
    std::size_t addressBytes = 0;
    std::size_t sizeBytes = 0;
    check(H5Pget_sizes(fileCreation.id(), &addressBytes, &sizeBytes), m_where);
    if (addressBytes != 8 || sizeBytes != 8) {
        throw RecordingError(fmt::format(
            "{}: addresses have {} bytes and sizes {}, expected 8 and 8", m_where, addressBytes, sizeBytes));
    }
    const std::uint64_t bytes = product(count, elementBytes, dataset);
    if (bytes > 0) {
        const haddr_t address = H5Dget_offset(dataset.id.id());
        if (address == HADDR_UNDEF) {
            throw RecordingError(fmt::format("{}: holds nothing", m_where));
        }
        m_elements = readBytes(address, bytes);
    }
}

void HeapStrings::damaged(std::uint64_t address, const std::string& what) const
{
    throw RecordingError(fmt::format("{}: the heap of strings at byte {} is damaged: {}", m_where, address, what));
}

std::vector<std::byte> HeapStrings::readBytes(std::uint64_t address, std::uint64_t size) const
{
    if (address > m_fileBytes || size > m_fileBytes - address) {
        damaged(address, fmt::format("{} bytes reach beyond the end of the file at {}", size, m_fileBytes));
    }
    std::vector<std::byte> bytes(size);
    std::ifstream file(m_file, std::ios::binary);
    file.seekg(static_cast<std::streamoff>(address));
    file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(size));
    if (!file) {
        damaged(address, "it cannot be read");
    }
    return bytes;
}

const HeapStrings::Collection& HeapStrings::collection(std::uint64_t address)
{
    if (const auto found = m_collections.find(address); found != m_collections.end()) {
        return found->second;
    }
    const std::vector<std::byte> header = readBytes(address, headerBytes);
    constexpr std::byte version{1};
    if (std::memcmp(header.data(), "GCOL", 4) != 0 || header[4] != version) {
        damaged(address, "its signature is wrong");
    }
    Collection result;
    result.bytes = readBytes(address, littleEndian<std::uint64_t>(header, 8));
    const std::span<const std::byte> bytes = result.bytes;
    std::size_t at = headerBytes;
    while (bytes.size() >= at + headerBytes) {
        const auto number = littleEndian<std::uint16_t>(bytes, at);
        const auto size = littleEndian<std::uint64_t>(bytes, at + 8);
        if (number == 0) {
            break; // free space up to the end
        }
        at += headerBytes;
        if (size > bytes.size() - at) {
            damaged(address, fmt::format("object {} claims {} bytes, {} are left", number, size, bytes.size() - at));
        }
        result.objects[number] = bytes.subspan(at, size);
        at += (size + alignment - 1) / alignment * alignment;
    }
    return m_collections.emplace(address, std::move(result)).first->second;
}

std::string HeapStrings::string(std::size_t offset)
{
    const std::span<const std::byte> elements = m_elements;
    const auto length = littleEndian<std::uint32_t>(elements, offset);
    const auto address = littleEndian<std::uint64_t>(elements, offset + 4);
    const auto number = littleEndian<std::uint32_t>(elements, offset + 12);
    if (length == 0) {
        return {};
    }
    const Collection& heap = collection(address);
    const auto found = number <= 0xFFFFU ? heap.objects.find(static_cast<std::uint16_t>(number)) : heap.objects.end();
    if (found == heap.objects.end() || length > found->second.size()) {
        damaged(address, fmt::format("it has no object {} of {} bytes", number, length));
    }
    return {reinterpret_cast<const char*>(found->second.data()), length};
}

} // namespace kvloupe::hdf5
