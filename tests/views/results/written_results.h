// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/results/result_file.h"
#include "core/results/result_store.h"
#include "tests/support/made_results.h"

#include <array>
#include <filesystem>
#include <fstream>

namespace kvloupe {

/// Whether a made sample is right: of 10 the full cache is right on the first 8, snapkv at 0.3 on 7, h2o at 0.3 on 6,
/// snapkv at 0.1 on 4, h2o at 0.1 on 2.
inline bool isRight(std::size_t branch, int sample)
{
    constexpr std::array right{8, 7, 6, 4, 2};
    return sample % 10 < right[branch];
}

inline std::vector<ResultRow> judgedSample(const RunHeader& header, int sample)
{
    std::vector<ResultRow> rows = madeSample(header, sample);
    for (std::size_t branch = 0; branch < rows.size(); ++branch) {
        rows[branch].outcome->correct = isRight(branch, sample);
        rows[branch].outcome->score = isRight(branch, sample) ? 1.0 : 0.0;
        rows[branch].outcome->extracted = isRight(branch, sample) ? "42" : "41";
    }
    return rows;
}

/// A results file of `samples` samples of one task, at the end of whatever is there.
inline void writeResults(const std::filesystem::path& path, int samples, RunHeader header = madeHeader(), int first = 0)
{
    ResultStore store(path, header, ResultStoreMode::Resume);
    for (int sample = first; sample < first + samples; ++sample)
        store.append(judgedSample(header, sample));
}

inline RunHeader headerOf(const std::string& task, const std::string& model = "made-135m")
{
    RunHeader header = madeHeader();
    header.tasks = {task};
    header.model.name = model;
    header.model.fileSha256 = std::string(64, model == "made-135m" ? 'a' : 'c');
    return header;
}

} // namespace kvloupe
