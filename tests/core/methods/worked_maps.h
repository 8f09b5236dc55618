// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <sstream>
#include <string>
#include <vector>

namespace kvloupe {

/// The two maps of 12 tokens that docs/methods.md works its examples on, in percent so that every sum is exact.
inline std::vector<std::vector<float>> workedMap(const std::vector<std::string>& rows)
{
    std::vector<std::vector<float>> map;
    for (const auto& row : rows) {
        std::istringstream text(row);
        auto& values = map.emplace_back();
        for (float value = 0; text >> value;)
            values.push_back(value);
    }
    return map;
}

inline std::vector<std::vector<float>> workedHead0()
{
    return workedMap({"100", "60 40", "50 20 30", "40 10 25 25", "40 5 20 10 25", "35 5 15 5 20 20",
        "30 5 20 5 10 10 20", "30 5 5 5 25 5 5 20", "25 5 10 5 20 5 5 10 15", "25 2 8 5 15 5 3 12 10 15",
        "20 2 6 4 18 4 2 14 8 7 15", "20 1 5 4 16 3 3 15 9 6 8 10"});
}

inline std::vector<std::vector<float>> workedHead1()
{
    return workedMap({"100", "50 50", "40 30 30", "30 10 20 40", "30 5 5 30 30", "20 5 5 10 20 40", "20 2 3 5 10 40 20",
        "20 2 3 5 5 35 10 20", "15 2 3 5 5 30 10 10 20", "15 1 4 5 5 25 5 10 10 20", "15 1 4 10 5 20 5 5 10 5 20",
        "10 1 4 11 5 24 5 6 7 9 8 10"});
}

} // namespace kvloupe
