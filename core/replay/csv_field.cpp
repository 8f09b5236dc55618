// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/replay/csv_field.h"

namespace kvloupe {

std::string csvField(std::string_view text)
{
    if (text.find_first_of(",\"\r\n") == std::string_view::npos)
        return std::string(text);
    std::string quoted = "\"";
    for (const char c : text)
        quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
    return quoted + "\"";
}

} // namespace kvloupe
