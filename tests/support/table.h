// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <cstdint>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace kvloupe {

/// Numbers written as readable rows in a test.
struct Table {
    std::int64_t rows = 0;
    std::int64_t columns = 0;
    std::vector<float> values; ///< row-major
};

/// One row per line, numbers apart by white space; "." stands for 0; empty lines and what follows "#" are skipped.
inline Table parseTable(std::string_view text)
{
    Table table;
    std::istringstream lines{std::string(text)};
    for (std::string line; std::getline(lines, line);) {
        std::istringstream words(line.substr(0, line.find('#')));
        std::int64_t columns = 0;
        for (std::string word; words >> word; ++columns) {
            table.values.push_back(word == "." ? 0.0F : std::stof(word));
        }
        if (columns == 0) {
            continue;
        }
        if (table.rows > 0 && columns != table.columns) {
            throw std::invalid_argument("rows of different lengths: " + line);
        }
        table.columns = columns;
        ++table.rows;
    }
    return table;
}

} // namespace kvloupe
