// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tokenizer/utf8_text.h"

#include <fmt/format.h>
#include <utf8proc.h>

#include <array>
#include <cstdint>
#include <iterator>

namespace kvloupe {

namespace {

/// Bytes of the character at the front, 0 if it is malformed.
std::size_t characterLength(std::string_view text, utf8proc_int32_t& codePoint)
{
    const auto length = utf8proc_iterate(
        reinterpret_cast<const utf8proc_uint8_t*>(text.data()), static_cast<utf8proc_ssize_t>(text.size()), &codePoint);
    return length > 0 ? static_cast<std::size_t>(length) : 0;
}

} // namespace

std::size_t firstInvalidUtf8(std::string_view text)
{
    std::size_t at = 0;
    while (at < text.size()) {
        if (static_cast<unsigned char>(text[at]) < 0x80) {
            ++at;
            continue;
        }
        utf8proc_int32_t codePoint = 0;
        const std::size_t length = characterLength(text.substr(at), codePoint);
        if (length == 0)
            return at;
        at += length;
    }
    return at;
}

std::string displayText(std::string_view bytes)
{
    std::string result;
    while (!bytes.empty()) {
        const std::size_t valid = firstInvalidUtf8(bytes);
        result += bytes.substr(0, valid);
        bytes.remove_prefix(valid);
        if (!bytes.empty()) {
            fmt::format_to(std::back_inserter(result), "<0x{:02X}>", static_cast<unsigned char>(bytes.front()));
            bytes.remove_prefix(1);
        }
    }
    return result;
}

Utf8Character firstCharacter(std::string_view text)
{
    if (static_cast<unsigned char>(text.front()) < 0x80)
        return {static_cast<char32_t>(text.front()), 1};
    utf8proc_int32_t codePoint = 0;
    const std::size_t length = characterLength(text, codePoint);
    return {static_cast<char32_t>(codePoint), length};
}

std::size_t previousCharacter(std::string_view text, std::size_t end)
{
    std::size_t begin = end - 1;
    while (begin > 0 && (static_cast<unsigned char>(text[begin]) & 0xc0) == 0x80)
        --begin;
    return begin;
}

std::string utf8Of(char32_t code)
{
    std::array<utf8proc_uint8_t, 4> encoded{};
    const auto length = utf8proc_encode_char(static_cast<utf8proc_int32_t>(code), encoded.data());
    return {reinterpret_cast<const char*>(encoded.data()), static_cast<std::size_t>(length)};
}

bool isWhiteSpace(char32_t code)
{
    if ((code >= 0x09 && code <= 0x0d) || code == 0x20 || code == 0x85)
        return true;
    if (code < 0xa0)
        return false;
    const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(code));
    return category == UTF8PROC_CATEGORY_ZS || category == UTF8PROC_CATEGORY_ZL || category == UTF8PROC_CATEGORY_ZP;
}

bool isWordCharacter(char32_t code)
{
    switch (utf8proc_category(static_cast<utf8proc_int32_t>(code))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
        return true;
    default: // the Alphabetic symbols, and the joiners
        return (code >= 0x24b6 && code <= 0x24e9) || (code >= 0x1f130 && code <= 0x1f149)
            || (code >= 0x1f150 && code <= 0x1f169) || (code >= 0x1f170 && code <= 0x1f189) || code == 0x200c
            || code == 0x200d;
    }
}

} // namespace kvloupe
