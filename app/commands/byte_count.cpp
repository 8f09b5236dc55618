// SPDX-License-Identifier: GPL-3.0-or-later

#include "app/commands/byte_count.h"

#include "core/error.h"

#include <charconv>
#include <fmt/format.h>

namespace kvloupe {

std::uint64_t byteCount(const std::string& text, std::string_view option)
{
    if (text.empty())
        return 0;
    std::string_view digits = text;
    std::uint64_t unit = 1;
    switch (digits.back()) {
    case 'K':
    case 'k':
        unit = std::uint64_t{1} << 10;
        break;
    case 'M':
    case 'm':
        unit = std::uint64_t{1} << 20;
        break;
    case 'G':
    case 'g':
        unit = std::uint64_t{1} << 30;
        break;
    default:
        break;
    }
    if (unit > 1)
        digits.remove_suffix(1);
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc() || end != digits.data() + digits.size() || value == 0
        || value > (std::uint64_t{1} << 52) / unit)
        throw Error(fmt::format("{}: found \"{}\", expected bytes such as 900M or 4G", option, text));
    return value * unit;
}

} // namespace kvloupe
