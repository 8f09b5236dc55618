// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/checkpoint/safetensors_file.h"

#include "capture/checkpoint/bounded_json.h"
#include "capture/checkpoint/checkpoint_error.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

namespace kvloupe {

namespace {

using nlohmann::json;

constexpr std::size_t lengthBytes = 8;
constexpr std::uint64_t longestHeader = 100'000'000; // the limit of the reference implementation
constexpr std::size_t maximumDimensions = 8;

class EntryReader {
public:
    EntryReader(const std::string& file, const std::string& name)
        : m_where(fmt::format("{}: tensor {}", file, inQuotes(name)))
    {
    }

    SafetensorsEntry read(const std::string& name, const json& object, std::span<const std::byte> data) const
    {
        if (!object.is_object())
            fail(fmt::format("found a JSON {}, expected an object", object.type_name()));
        SafetensorsEntry entry;
        entry.name = name;
        const json& dtype = member(object, "dtype");
        if (!dtype.is_string())
            fail("dtype: expected a string");
        entry.dtype = dtype.get<std::string>();
        std::uint64_t size = safetensorsTypeBytes(entry.dtype);
        if (size == 0)
            fail(fmt::format("dtype: {} is not known", inQuotes(entry.dtype)));
        const json& shape = member(object, "shape");
        if (!shape.is_array() || shape.size() > maximumDimensions)
            fail(fmt::format("shape: expected a list of at most {} numbers", maximumDimensions));
        for (const json& dimension : shape) {
            const std::uint64_t value = integer(dimension, "shape");
            if (value == 0 || value >> 63 != 0)
                fail(fmt::format("shape: found a dimension of {}, expected at least 1", value));
            entry.shape.push_back(static_cast<std::int64_t>(value));
            if (__builtin_mul_overflow(size, value, &size))
                fail("shape: its size in bytes does not fit into 64 bits");
        }
        const json& offsets = member(object, "data_offsets");
        if (!offsets.is_array() || offsets.size() != 2)
            fail("data_offsets: expected a list of two numbers");
        const std::uint64_t begin = integer(offsets[0], "data_offsets");
        const std::uint64_t end = integer(offsets[1], "data_offsets");
        if (begin > end || end > data.size())
            fail(fmt::format("data_offsets: [{}, {}] lie outside the {} bytes of data", begin, end, data.size()));
        if (end - begin != size)
            fail(fmt::format("data_offsets: hold {} bytes, shape and dtype need {}", end - begin, size));
        entry.bytes = data.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(size));
        return entry;
    }

private:
    [[noreturn]] void fail(const std::string& problem) const
    {
        throw CheckpointError(fmt::format("{}: {}", m_where, problem));
    }

    const json& member(const json& object, const char* field) const
    {
        const auto found = object.find(field);
        if (found == object.end())
            fail(fmt::format("{}: is missing", field));
        return *found;
    }

    std::uint64_t integer(const json& value, const char* field) const
    {
        if (!value.is_number_unsigned())
            fail(fmt::format("{}: found {}, expected a whole number of at least 0", field,
                value.is_number() ? value.dump() : std::string("a ") + value.type_name()));
        return value.get<std::uint64_t>();
    }

    std::string m_where;
};

} // namespace

std::uint64_t safetensorsTypeBytes(std::string_view dtype)
{
    constexpr std::array<std::pair<std::string_view, int>, 15> sizes
        = {{{"BOOL", 1}, {"U8", 1}, {"I8", 1}, {"F8_E4M3", 1}, {"F8_E5M2", 1}, {"F8_E8M0", 1}, {"I16", 2}, {"U16", 2},
            {"F16", 2}, {"BF16", 2}, {"I32", 4}, {"U32", 4}, {"F32", 4}, {"I64", 8}, {"F64", 8}}};
    const auto found = std::ranges::find(sizes, dtype, &std::pair<std::string_view, int>::first);
    return found == sizes.end() ? 0 : static_cast<std::uint64_t>(found->second);
}

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path)
    : m_file(path)
{
    const std::string file = path.string();
    const auto bytes = m_file.bytes();
    if (bytes.size() < lengthBytes)
        throw CheckpointError(
            fmt::format("{}: header: {} bytes are too few for a safetensors file", file, bytes.size()));
    std::uint64_t headerLength = 0;
    std::memcpy(&headerLength, bytes.data(), lengthBytes);
    if (headerLength > longestHeader || headerLength > bytes.size() - lengthBytes)
        throw CheckpointError(
            fmt::format("{}: header: a length of {} bytes, {} are left in the file (at most {} are read)", file,
                headerLength, bytes.size() - lengthBytes, longestHeader));
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + lengthBytes, headerLength);
    const json header = parseJson(text, file + ": header", {.bytes = longestHeader, .depth = 4});
    if (!header.is_object())
        throw CheckpointError(fmt::format("{}: header: found a JSON {}, expected an object", file, header.type_name()));
    const auto data = bytes.subspan(lengthBytes + static_cast<std::size_t>(headerLength));
    for (const auto& [name, object] : header.items())
        if (name != "__metadata__")
            m_tensors.push_back(EntryReader(file, name).read(name, object, data));

    std::vector<const SafetensorsEntry*> order;
    for (const SafetensorsEntry& entry : m_tensors)
        order.push_back(&entry);
    std::ranges::sort(order, {}, [](const SafetensorsEntry* entry) { return entry->bytes.data(); });
    for (std::size_t i = 1; i < order.size(); ++i)
        if (order[i - 1]->bytes.data() + order[i - 1]->bytes.size() > order[i]->bytes.data())
            throw CheckpointError(fmt::format(
                "{}: tensor {}: overlaps tensor {}", file, inQuotes(order[i]->name), inQuotes(order[i - 1]->name)));
}

} // namespace kvloupe
