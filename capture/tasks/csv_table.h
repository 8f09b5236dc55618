// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace kvloupe {

struct CsvRecord {
    std::int64_t line = 0; ///< where it begins, from 1
    std::vector<std::string> fields;
};

/// Reads CSV as RFC 4180 describes it: fields in quotes may hold commas, line breaks and doubled quotes; CRLF and LF
/// end a record; lines without any byte are passed over. Throws TaskError naming `name` and the line for a quote that
/// is never closed or has text behind it, a quote inside a field without quotes, and more than 1,024 fields.
std::vector<CsvRecord> parseCsv(std::string_view text, std::string_view name);

} // namespace kvloupe
