// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace kvloupe {

/// One number that a paper printed. It is shown beside measurements of our own and never mixed with them.
struct PublishedValue {
    std::string table; ///< in the paper: "7"
    std::string model; ///< empty where the paper names none
    std::string task; ///< "AR", "WK", ... with the data set in `note` of the folder's README
    std::optional<int> shots;
    std::string method; ///< registry name where there is one ("streaming_llm"); "full", "mean_of_5", ...
    std::optional<double> keptPercent; ///< share of the prompt that was kept; none where the paper does not say
    double value = 0.0;
    std::string unit; ///< "fraction", "percent", "points", "seconds", "tokens_per_second"
    std::string note; ///< what is doubtful about it
    std::string source;
    std::string file; ///< that it was read from, without its folder
};

/// The folder of CSV files beside the program: `../share/kvloupe/published` seen from the folder of the executable, as
/// they lie once installed and in a build folder alike. Throws ResultsError when it is not there.
std::filesystem::path publishedFolder();

/// All values of all CSV files in a folder, files in the order of their names. Throws ResultsError with file, line and
/// column.
std::vector<PublishedValue> publishedResults(const std::filesystem::path& folder);
std::vector<PublishedValue> publishedResults();

} // namespace kvloupe
