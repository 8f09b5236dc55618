// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/checkpoint/gguf_file.h"

#include "capture/checkpoint/checkpoint_error.h"
#include "capture/checkpoint/tensor_types.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>
#include <set>

namespace kvloupe {

static_assert(std::endian::native == std::endian::little, "GGUF is read in place and stores little-endian numbers");

namespace {

constexpr std::string_view magic = "GGUF";
constexpr std::uint64_t longestKey = 65535; // the specification's limit
constexpr std::uint64_t longestTensorName = 256; // ggml writes at most 63
constexpr int maximumDimensions = 4;
constexpr std::int64_t defaultAlignment = 32;

/// Bytes of one value, 0 for strings and arrays.
std::uint64_t sizeOf(GgufType type)
{
    switch (type) {
    case GgufType::U8:
    case GgufType::I8:
    case GgufType::Bool:
        return 1;
    case GgufType::U16:
    case GgufType::I16:
        return 2;
    case GgufType::U32:
    case GgufType::I32:
    case GgufType::F32:
        return 4;
    case GgufType::U64:
    case GgufType::I64:
    case GgufType::F64:
        return 8;
    case GgufType::String:
    case GgufType::Array:
        return 0;
    }
    return 0;
}

template <typename Number> Number load(std::span<const std::byte> bytes)
{
    Number value{};
    std::memcpy(&value, bytes.data(), sizeof value);
    return value;
}

std::string_view textOf(std::span<const std::byte> bytes)
{
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// An integer of any width; empty for other types and for unsigned values above the signed range.
std::optional<std::int64_t> integerOf(GgufType type, std::span<const std::byte> bytes)
{
    switch (type) {
    case GgufType::U8:
        return load<std::uint8_t>(bytes);
    case GgufType::I8:
        return load<std::int8_t>(bytes);
    case GgufType::U16:
        return load<std::uint16_t>(bytes);
    case GgufType::I16:
        return load<std::int16_t>(bytes);
    case GgufType::U32:
        return load<std::uint32_t>(bytes);
    case GgufType::I32:
        return load<std::int32_t>(bytes);
    case GgufType::I64:
        return load<std::int64_t>(bytes);
    case GgufType::U64: {
        const auto value = load<std::uint64_t>(bytes);
        if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
            return std::nullopt;
        return static_cast<std::int64_t>(value);
    }
    default:
        return std::nullopt;
    }
}

} // namespace

/// Reads forward through the mapped file; every read is checked against what is left.
class GgufCursor {
public:
    GgufCursor(std::span<const std::byte> bytes, std::string file)
        : m_bytes(bytes)
        , m_file(std::move(file))
    {
    }

    std::size_t position() const { return m_position; }
    std::uint64_t left() const { return m_bytes.size() - m_position; }

    CheckpointError error(std::string_view field, std::string_view problem) const
    {
        return CheckpointError(fmt::format("{}: {}: {}", m_file, field, problem));
    }

    std::span<const std::byte> take(std::uint64_t count, std::string_view field)
    {
        if (count > left())
            throw error(
                field, fmt::format("needs {} bytes at byte {}, {} are left in the file", count, m_position, left()));
        const auto result = m_bytes.subspan(m_position, static_cast<std::size_t>(count));
        m_position += static_cast<std::size_t>(count);
        return result;
    }

    template <typename Number> Number number(std::string_view field)
    {
        return load<Number>(take(sizeof(Number), field));
    }

    std::string_view string(std::string_view field, std::uint64_t longest = std::numeric_limits<std::uint64_t>::max())
    {
        const auto length = number<std::uint64_t>(field);
        if (length > longest)
            throw error(field, fmt::format("a string of {} bytes, at most {} are allowed", length, longest));
        return textOf(take(length, field));
    }

    GgufType type(std::string_view field)
    {
        const auto value = number<std::uint32_t>(field);
        if (value > static_cast<std::uint32_t>(GgufType::F64))
            throw error(field, fmt::format("unknown value type {}", value));
        return static_cast<GgufType>(value);
    }

private:
    std::span<const std::byte> m_bytes;
    std::string m_file;
    std::size_t m_position = 0;
};

std::string_view ggufTypeName(GgufType type)
{
    constexpr std::array<std::string_view, 13> names = {"uint8", "int8", "uint16", "int16", "uint32", "int32",
        "float32", "bool", "string", "array", "uint64", "int64", "float64"};
    return names.at(static_cast<std::size_t>(type));
}

bool GgufFile::recognise(const std::filesystem::path& path)
{
    std::error_code ignored;
    if (!std::filesystem::is_regular_file(path, ignored))
        return false;
    std::array<char, 4> start{};
    std::ifstream file(path, std::ios::binary);
    file.read(start.data(), start.size());
    return file && std::string_view(start.data(), start.size()) == magic;
}

GgufFile::GgufFile(const std::filesystem::path& path)
    : m_file(path)
{
    GgufCursor cursor(m_file.bytes(), path.string());
    if (m_file.bytes().size() < magic.size() || textOf(cursor.take(magic.size(), "magic")) != magic)
        throw cursor.error("magic", "is not a GGUF file (it does not begin with \"GGUF\")");
    m_version = cursor.number<std::uint32_t>("version");
    if (m_version == 0x02000000u || m_version == 0x03000000u)
        throw cursor.error("version", "the file is big-endian, only little-endian files are read");
    if (m_version != 2 && m_version != 3)
        throw cursor.error("version", fmt::format("found {}, expected 2 or 3", m_version));
    const auto tensorCount = cursor.number<std::uint64_t>("tensor count");
    const auto metadataCount = cursor.number<std::uint64_t>("metadata count");
    readMetadata(cursor, metadataCount);
    readTensors(cursor, tensorCount);
}

void GgufFile::readMetadata(GgufCursor& cursor, std::uint64_t count)
{
    constexpr std::uint64_t smallestEntry = 8 + 4 + 1; // empty key, type, one byte
    if (count > cursor.left() / smallestEntry)
        throw cursor.error("metadata count", fmt::format("{} entries cannot fit into {} bytes", count, cursor.left()));
    for (std::uint64_t i = 0; i < count; ++i) {
        const std::string place = fmt::format("metadata key {}", i);
        const std::string_view key = cursor.string(place, longestKey);
        const std::string field = fmt::format("metadata {}", inQuotes(key));
        GgufValue value;
        value.type = cursor.type(field);
        if (value.type == GgufType::String) {
            value.bytes = std::as_bytes(std::span(cursor.string(field)));
        } else if (value.type != GgufType::Array) {
            value.bytes = cursor.take(sizeOf(value.type), field);
        } else {
            value.elementType = cursor.type(field);
            value.count = cursor.number<std::uint64_t>(field);
            if (value.elementType == GgufType::Array)
                throw cursor.error(field, "an array of arrays, which no known model needs");
            const bool isText = value.elementType == GgufType::String;
            const std::uint64_t smallest = isText ? sizeof(std::uint64_t) : sizeOf(value.elementType);
            if (value.count > cursor.left() / smallest)
                throw cursor.error(field,
                    fmt::format("an array of {} {} values cannot fit into {} bytes", value.count,
                        ggufTypeName(value.elementType), cursor.left()));
            const std::size_t begin = cursor.position();
            if (isText) {
                for (std::uint64_t element = 0; element < value.count; ++element)
                    cursor.string(field);
            } else {
                cursor.take(value.count * smallest, field);
            }
            value.bytes = m_file.bytes().subspan(begin, cursor.position() - begin);
        }
        if (!m_metadata.emplace(std::string(key), value).second)
            throw cursor.error(field, "occurs twice");
    }
}

void GgufFile::readTensors(GgufCursor& cursor, std::uint64_t count)
{
    constexpr std::uint64_t smallestEntry = 8 + 4 + 4 + 8; // empty name, dimension count, type, offset
    if (count > cursor.left() / smallestEntry)
        throw cursor.error("tensor count", fmt::format("{} entries cannot fit into {} bytes", count, cursor.left()));
    std::vector<std::uint64_t> offsets;
    std::set<std::string_view> names;
    for (std::uint64_t i = 0; i < count; ++i) {
        GgufTensor tensor;
        tensor.name = cursor.string(fmt::format("name of tensor {}", i), longestTensorName);
        const std::string field = fmt::format("tensor {}", inQuotes(tensor.name));
        if (!names.insert(tensor.name).second)
            throw cursor.error(field, "occurs twice");
        const auto dimensionCount = cursor.number<std::uint32_t>(field);
        if (dimensionCount > maximumDimensions)
            throw cursor.error(
                field, fmt::format("{} dimensions, at most {} are allowed", dimensionCount, maximumDimensions));
        for (std::uint32_t d = 0; d < dimensionCount; ++d) {
            const auto size = cursor.number<std::uint64_t>(field);
            if (size == 0 || size > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
                throw cursor.error(field, fmt::format("dimension {} is {}, expected at least 1", d, size));
            tensor.dimensions.push_back(static_cast<std::int64_t>(size));
        }
        tensor.type = cursor.number<std::uint32_t>(field);
        offsets.push_back(cursor.number<std::uint64_t>(field));
        m_tensors.push_back(std::move(tensor));
    }
    placeTensors(offsets, cursor.position());
}

void GgufFile::placeTensors(std::span<const std::uint64_t> offsets, std::size_t directoryEnd)
{
    const auto alignment
        = static_cast<std::size_t>(findInteger("general.alignment", 1, 1 << 20).value_or(defaultAlignment));
    if (!std::has_single_bit(alignment))
        throw error("general.alignment", fmt::format("found {}, expected a power of two", alignment));
    const std::size_t fileSize = m_file.bytes().size();
    // The directory may end anywhere in the file, so rounding up cannot overflow but may pass its end.
    const std::size_t dataBegin = std::min((directoryEnd + alignment - 1) / alignment * alignment, fileSize);
    const std::size_t dataSize = fileSize - dataBegin;

    std::vector<std::pair<std::uint64_t, std::size_t>> order; // offset, tensor
    for (std::size_t i = 0; i < m_tensors.size(); ++i) {
        GgufTensor& tensor = m_tensors[i];
        const std::string field = fmt::format("tensor {}", inQuotes(tensor.name));
        const auto type = dataTypeOfGgml(tensor.type);
        if (!type)
            continue; // a model cannot use it, but its metadata and tokenizer can be read
        std::uint64_t elements = 1;
        for (const std::int64_t size : tensor.dimensions)
            if (__builtin_mul_overflow(elements, static_cast<std::uint64_t>(size), &elements))
                throw error(field, "its dimensions multiply to more than 2^64 values");
        const auto length = static_cast<std::uint64_t>(blockLength(*type));
        const std::int64_t innermost = tensor.dimensions.empty() ? 1 : tensor.dimensions.front();
        if (innermost % blockLength(*type) != 0)
            throw error(field,
                fmt::format("rows of {} values are no multiple of the {} values in a {} block", innermost, length,
                    dataTypeName(*type)));
        const std::uint64_t blocks = elements / length;
        std::uint64_t size = 0;
        if (__builtin_mul_overflow(blocks, static_cast<std::uint64_t>(blockBytes(*type)), &size))
            throw error(field, "its size in bytes does not fit into 64 bits");
        if (offsets[i] % alignment != 0)
            throw error(field, fmt::format("offset {} is not aligned to {} bytes", offsets[i], alignment));
        if (offsets[i] > dataSize || size > dataSize - offsets[i])
            throw error(field,
                fmt::format("{} bytes at offset {} lie outside the file, which holds {} bytes of data", size,
                    offsets[i], dataSize));
        tensor.bytes
            = m_file.bytes().subspan(dataBegin + static_cast<std::size_t>(offsets[i]), static_cast<std::size_t>(size));
        order.emplace_back(offsets[i], i);
    }
    std::ranges::sort(order);
    for (std::size_t i = 1; i < order.size(); ++i) {
        const GgufTensor& before = m_tensors[order[i - 1].second];
        const GgufTensor& after = m_tensors[order[i].second];
        if (before.bytes.data() + before.bytes.size() > after.bytes.data())
            throw error(fmt::format("tensor {}", inQuotes(after.name)),
                fmt::format("overlaps tensor {}", inQuotes(before.name)));
    }
}

CheckpointError GgufFile::error(std::string_view key, std::string_view problem) const
{
    return CheckpointError(fmt::format("{}: {}: {}", path().string(), key, problem));
}

const GgufTensor* GgufFile::findTensor(std::string_view name) const
{
    const auto found = std::ranges::find(m_tensors, name, &GgufTensor::name);
    return found == m_tensors.end() ? nullptr : &*found;
}

const GgufValue* GgufFile::find(std::string_view key) const
{
    const auto found = m_metadata.find(key);
    return found == m_metadata.end() ? nullptr : &found->second;
}

std::optional<std::int64_t> GgufFile::findInteger(
    std::string_view key, std::int64_t minimum, std::int64_t maximum) const
{
    const GgufValue* const value = find(key);
    if (value == nullptr)
        return std::nullopt;
    if (value->type == GgufType::U64 && load<std::uint64_t>(value->bytes) >> 63 != 0)
        throw error(
            key, fmt::format("found {}, expected {} to {}", load<std::uint64_t>(value->bytes), minimum, maximum));
    const auto number = integerOf(value->type, value->bytes);
    if (!number)
        throw error(key, fmt::format("found a {} value, expected an integer", ggufTypeName(value->type)));
    if (*number < minimum || *number > maximum)
        throw error(key, fmt::format("found {}, expected {} to {}", *number, minimum, maximum));
    return number;
}

std::optional<double> GgufFile::findReal(std::string_view key) const
{
    const GgufValue* const value = find(key);
    if (value == nullptr)
        return std::nullopt;
    if (value->type == GgufType::F32)
        return load<float>(value->bytes);
    if (value->type == GgufType::F64)
        return load<double>(value->bytes);
    throw error(key, fmt::format("found a {} value, expected a floating-point number", ggufTypeName(value->type)));
}

std::optional<bool> GgufFile::findBool(std::string_view key) const
{
    const GgufValue* const value = find(key);
    if (value == nullptr)
        return std::nullopt;
    if (value->type != GgufType::Bool)
        throw error(key, fmt::format("found a {} value, expected a bool", ggufTypeName(value->type)));
    return value->bytes.front() != std::byte{0};
}

std::optional<std::string_view> GgufFile::findString(std::string_view key) const
{
    const GgufValue* const value = find(key);
    if (value == nullptr)
        return std::nullopt;
    if (value->type != GgufType::String)
        throw error(key, fmt::format("found a {} value, expected a string", ggufTypeName(value->type)));
    return textOf(value->bytes);
}

std::optional<std::vector<std::string_view>> GgufFile::findStrings(std::string_view key) const
{
    const GgufValue* const value = find(key);
    if (value == nullptr)
        return std::nullopt;
    if (value->type != GgufType::Array || value->elementType != GgufType::String)
        throw error(
            key, fmt::format("found a value of type {}, expected an array of strings", ggufTypeName(value->type)));
    GgufCursor cursor(value->bytes, path().string());
    std::vector<std::string_view> strings;
    strings.reserve(static_cast<std::size_t>(value->count));
    for (std::uint64_t i = 0; i < value->count; ++i)
        strings.push_back(cursor.string(key));
    return strings;
}

std::optional<std::vector<float>> GgufFile::findReals(std::string_view key) const
{
    const GgufValue* const value = find(key);
    if (value == nullptr)
        return std::nullopt;
    if (value->type != GgufType::Array || value->elementType != GgufType::F32)
        throw error(key, "expected an array of 32-bit reals");
    std::vector<float> numbers(value->bytes.size() / sizeof(float));
    std::memcpy(numbers.data(), value->bytes.data(), numbers.size() * sizeof(float));
    if (!std::ranges::all_of(numbers, [](float number) { return std::isfinite(number); }))
        throw error(key, "holds a number that is not finite");
    return numbers;
}

std::optional<std::vector<std::int64_t>> GgufFile::findIntegers(std::string_view key) const
{
    const GgufValue* const value = find(key);
    if (value == nullptr)
        return std::nullopt;
    const auto width = static_cast<std::size_t>(sizeOf(value->elementType));
    std::vector<std::int64_t> numbers;
    for (std::size_t at = 0; value->type == GgufType::Array && width > 0 && at < value->bytes.size(); at += width) {
        const auto number = integerOf(value->elementType, value->bytes.subspan(at, width));
        if (!number)
            break;
        numbers.push_back(*number);
    }
    if (value->type != GgufType::Array || numbers.size() != value->count)
        throw error(key, "expected an array of integers");
    return numbers;
}

std::int64_t GgufFile::requireInteger(std::string_view key, std::int64_t minimum, std::int64_t maximum) const
{
    if (const auto value = findInteger(key, minimum, maximum))
        return *value;
    throw error(key, "is missing from the metadata");
}

std::string_view GgufFile::requireString(std::string_view key) const
{
    if (const auto value = findString(key))
        return *value;
    throw error(key, "is missing from the metadata");
}

} // namespace kvloupe
