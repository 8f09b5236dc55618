// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/results/run_header.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <vector>

namespace kvloupe {

/// A run and the rows of its complete samples.
///
/// The rows of a sample stand together, branch 0 to n - 1. A program that was killed leaves a part of them; the sample
/// is then done again whole and appended, and the part is superseded. Of a sample that was written whole several times
/// the last counts.
struct ResultRun {
    RunHeader header;
    std::vector<ResultRow> rows; ///< sample after sample in the order of the file, each branch 0 to n - 1
    std::int64_t supersededRows = 0; ///< of samples that are in `rows` from a later attempt
    std::int64_t incompleteRows = 0; ///< of samples that were never completed; not in `rows`
};

struct ResultFile {
    std::filesystem::path path;
    std::vector<ResultRun> runs; ///< more than one where files were joined
    std::int64_t bytes = 0; ///< through the last line break
    std::int64_t tornBytes = 0; ///< behind it: a line that was never finished, not read
};

/// Which fields of the rows a reader wants: texts are most of a file.
enum class ResultTexts { Keep, Drop };

/// Reads a file of JSON lines. The last line may be torn (it is reported, not read); everything else must be in order:
/// throws ResultsError with file, line, field, found and expected. Lines are at most 16 MiB long.
/// `stopped` is asked at every line; ResultsError once it says yes.
ResultFile readResults(const std::filesystem::path& path, ResultTexts texts = ResultTexts::Keep,
    const std::function<bool()>& stopped = {});

} // namespace kvloupe
