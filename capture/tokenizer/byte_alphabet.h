// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace kvloupe {

/// GPT-2's printable stand-ins for the 256 bytes (encoder.py, bytes_to_unicode): printable Latin-1 bytes stand for
/// themselves, the others for U+0100 onwards, so that a space is written "Ġ" in a vocabulary.
std::string byteToSymbol(unsigned char byte);

/// The bytes that a vocabulary entry written in stand-ins denotes; empty optional if a character is no stand-in.
std::optional<std::string> symbolsToBytes(std::string_view symbols);

} // namespace kvloupe
