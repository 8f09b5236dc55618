// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tasks/data_file.h"

#include "capture/checkpoint/bounded_json.h"
#include "capture/checkpoint/checkpoint_error.h"
#include "capture/checkpoint/mapped_file.h"
#include "capture/tasks/answer_text.h"
#include "capture/tokenizer/utf8_text.h"

#include <libdeflate.h>
#include <nlohmann/json.hpp>

#include <memory>
#include <span>

namespace kvloupe {

namespace {

constexpr std::size_t mostBytes = std::size_t{1} << 30;
constexpr std::size_t mostUnpackedBytes = std::size_t{256} << 20;
constexpr int deepestJson = 16;

/// One gzip member behind another, as gzip files may be.
std::string unpacked(std::span<const std::byte> packed, const std::string& name)
{
    const std::unique_ptr<libdeflate_decompressor, void (*)(libdeflate_decompressor*)> decompressor(
        libdeflate_alloc_decompressor(), libdeflate_free_decompressor);
    if (!decompressor)
        throw TaskError(fmt::format("{}: no memory to unpack it", name));
    std::string text;
    std::size_t place = 0;
    while (place < packed.size()) {
        const std::size_t begin = text.size();
        for (std::size_t room = std::min(packed.size() * 4 + 65536, mostUnpackedBytes - begin);;
             room = std::min(room * 2, mostUnpackedBytes - begin)) {
            text.resize(begin + room);
            std::size_t used = 0;
            std::size_t written = 0;
            const auto result = libdeflate_gzip_decompress_ex(decompressor.get(), packed.data() + place,
                packed.size() - place, text.data() + begin, room, &used, &written);
            if (result == LIBDEFLATE_SUCCESS) {
                place += used;
                text.resize(begin + written);
                break;
            }
            if (result != LIBDEFLATE_INSUFFICIENT_SPACE)
                throw TaskError(fmt::format("{}: damaged gzip data at byte {}", name, place));
            if (begin + room == mostUnpackedBytes)
                throw TaskError(fmt::format("{}: more than {} bytes unpacked", name, mostUnpackedBytes));
        }
    }
    return text;
}

} // namespace

std::string readDataText(const std::filesystem::path& file)
{
    std::string text;
    try {
        const MappedFile mapped(file);
        const auto bytes = mapped.bytes();
        if (bytes.size() > mostBytes)
            throw TaskError(fmt::format("{}: {} bytes, at most {} are read", file.string(), bytes.size(), mostBytes));
        if (bytes.size() >= 2 && bytes[0] == std::byte{0x1f} && bytes[1] == std::byte{0x8b})
            text = unpacked(bytes, file.string());
        else
            text.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    } catch (const CheckpointError& error) {
        throw TaskError(error.what());
    }
    if (text.starts_with("\xef\xbb\xbf"))
        text.erase(0, 3);
    if (const std::size_t bad = firstInvalidUtf8(text); bad < text.size())
        throw TaskError(fmt::format("{} line {}: byte {} is not UTF-8 (0x{:02x}), expected UTF-8 text", file.string(),
            1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(bad), '\n'), bad,
            static_cast<unsigned char>(text[bad])));
    return text;
}

void DataPlace::fail(std::string_view field, std::string_view found, std::string_view expected) const
{
    throw TaskError(fmt::format("{}: {}: found {}, expected {}", text, field, found, expected));
}

const nlohmann::json& DataPlace::member(const nlohmann::json& object, const char* field) const
{
    if (!object.is_object())
        fail(field, object.type_name(), "an object that holds it");
    const auto found = object.find(field);
    if (found == object.end())
        fail(field, "nothing", "this field");
    return *found;
}

std::string DataPlace::string(const nlohmann::json& object, const char* field) const
{
    const nlohmann::json& value = member(object, field);
    if (!value.is_string())
        fail(field, value.type_name(), "a string");
    auto result = value.get<std::string>();
    if (trimmedText(result).empty())
        fail(field, "an empty string", "text");
    return result;
}

void readJsonLines(const std::filesystem::path& file,
    const std::function<void(const nlohmann::json& object, const DataPlace& place, std::int64_t line)>& take)
{
    const std::string content = readDataText(file);
    std::int64_t taken = 0;
    std::size_t begin = 0;
    for (std::int64_t line = 1; begin < content.size(); ++line) {
        const std::size_t end = std::min(content.find('\n', begin), content.size());
        const std::string_view lineText = trimmedText(std::string_view(content).substr(begin, end - begin));
        begin = end + 1;
        if (lineText.empty())
            continue;
        const DataPlace place{fmt::format("{} line {}", file.string(), line)};
        nlohmann::json object;
        try {
            object = parseJson(lineText, place.text, {mostBytes, deepestJson});
        } catch (const CheckpointError& error) {
            throw TaskError(error.what());
        }
        if (!object.is_object())
            place.fail("line", object.type_name(), "a JSON object");
        take(object, place, line);
        ++taken;
    }
    if (taken == 0)
        throw TaskError(fmt::format("{}: found no samples, expected one JSON object per line", file.string()));
}

} // namespace kvloupe
