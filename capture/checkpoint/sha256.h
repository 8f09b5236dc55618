// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace kvloupe {

/// SHA-256 (FIPS 180-4) as 64 lower-case hexadecimal digits.
std::string sha256Hex(std::span<const std::byte> bytes);
std::string sha256Hex(std::string_view text);
/// Of a part of a MappedFile; its pages do not stay in memory.
std::string sha256OfMapping(std::span<const std::byte> mapped);

} // namespace kvloupe
