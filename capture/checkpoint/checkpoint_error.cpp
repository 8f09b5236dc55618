// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/checkpoint/checkpoint_error.h"

#include <fmt/format.h>

#include <iterator>

namespace kvloupe {

std::string inQuotes(std::string_view text)
{
    constexpr std::size_t longest = 80;
    std::string result = "'";
    for (const char c : text.substr(0, longest)) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte >= 0x7f)
            fmt::format_to(std::back_inserter(result), "\\x{:02x}", byte);
        else
            result += c;
    }
    result += text.size() > longest ? "...'" : "'";
    return result;
}

} // namespace kvloupe
