// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace kvloupe {

/// A small CSV file (RFC 4180) whose first line names the columns.
struct CsvTable {
    struct Row {
        int line = 0; ///< where it begins in the file, from 1
        std::vector<std::string> fields; ///< as many as there are columns
    };

    std::string name; ///< of the file, for messages
    std::vector<std::string> columns;
    std::vector<Row> rows;

    /// Index of a column. Throws ResultsError that names the file and the columns there are.
    std::size_t column(std::string_view wanted) const;
};

/// Throws ResultsError with file and line: a quote that never ends, text behind a closing quote, a line with another
/// number of fields than the first, or no line at all.
CsvTable parseCsv(std::string_view text, const std::string& name);
/// The same for a file of at most 16 MiB.
CsvTable readCsv(const std::filesystem::path& path);

} // namespace kvloupe
