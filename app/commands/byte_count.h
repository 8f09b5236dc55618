// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace kvloupe {

/// "900M", "4G", "1073741824" to bytes; 0 for an empty text. Throws Error naming `option` for anything else.
std::uint64_t byteCount(const std::string& text, std::string_view option);

} // namespace kvloupe
