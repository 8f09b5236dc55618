// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/results/published.h"
#include "core/results/summary.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace kvloupe {

/// How a file was when it was read; another size or time of change means that it has to be read again.
struct FileStamp {
    std::uintmax_t bytes = 0;
    std::filesystem::file_time_type changed;

    bool operator==(const FileStamp&) const = default;
};
/// Nothing of a file that is not there.
std::optional<FileStamp> stampOf(const std::filesystem::path& path);

/// Whether a file is one of results by its name: JSON lines.
bool isResultsFile(const std::filesystem::path& path);

/// Results files as the window and the figures show them: read once, never changed, shared between threads.
struct ResultsData {
    struct File {
        std::filesystem::path path;
        std::optional<FileStamp> stamp;
        std::string problem; ///< why nothing of it is here; one line
        std::vector<std::string> remarks; ///< what was left out, one line each
    };

    std::vector<File> files;
    std::vector<ResultRow> rows; ///< of all runs of all files, in order
    std::vector<std::optional<std::size_t>> fullRows; ///< per row: the last one of the same sample with the full cache
    Summary byMethod; ///< SummaryCell::rows are numbers in `rows`; likewise below
    Summary overMethods; ///< methods of a budget averaged, as figure 4 of arXiv 2502.01941 does
    std::vector<PublishedValue> published;
    std::string publishedProblem; ///< why there are none
};

/// Reads the files and what the paper prints. A file that cannot be read has a problem, the others are read all the
/// same. `stopped` is asked between files; nothing is returned then.
std::shared_ptr<const ResultsData> readResultsData(
    const std::vector<std::filesystem::path>& files, const std::function<bool()>& stopped = {});

} // namespace kvloupe
