// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace kvloupe {

/// The first byte that is not part of well-formed UTF-8 (surrogates and overlong forms are not); text.size() if all is
/// well.
std::size_t firstInvalidUtf8(std::string_view text);

/// Text as a person may see it: bytes that are no UTF-8 become "<0xE2>".
std::string displayText(std::string_view bytes);

/// The character at the front of well-formed, non-empty UTF-8, and its bytes.
struct Utf8Character {
    char32_t code = 0;
    std::size_t length = 0;
};
Utf8Character firstCharacter(std::string_view text);

/// Bytes of the character at the front of well-formed, non-empty UTF-8.
inline std::size_t characterLength(std::string_view text)
{
    const auto lead = static_cast<unsigned char>(text.front());
    return lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

/// Where the character before byte `end`, which is not 0, begins.
std::size_t previousCharacter(std::string_view text, std::size_t end);

std::string utf8Of(char32_t code);

/// Unicode White_Space.
bool isWhiteSpace(char32_t code);
/// What Rust's regex means by \w: Alphabetic, marks, decimal digits, connectors, joiners.
bool isWordCharacter(char32_t code);

} // namespace kvloupe
