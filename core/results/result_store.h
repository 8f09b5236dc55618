// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/results/run_header.h"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>

namespace kvloupe {

/// New: the file must not exist. Replace: an existing one is emptied. Resume: go on in a file of the same parameters,
/// or begin a new one.
enum class ResultStoreMode { New, Replace, Resume };

/// When a sample's rows are safe. Flush: handed to the operating system, so they outlive the program. Sync: on the
/// disk, so they outlive a power cut; costs milliseconds a sample.
enum class ResultDurability { Flush, Sync };

/// A results file that grows by whole samples.
///
/// All rows of a sample are appended in one write, so a program that is killed loses the sample in progress and nothing
/// else. Lines that were written stay as they are: on resuming, only an unfinished last line, which no reader takes for
/// a row, is cut off, and a sample that lacks branches is written again whole (readers then leave the part aside). The
/// file is locked against a second writer for as long as the store lives. Not thread-safe.
class ResultStore {
public:
    /// Throws ResultsError if the file cannot be written, is being written by another program, or, on resuming, was
    /// made with other parameters: names the first field that differs, found and expected.
    ResultStore(std::filesystem::path path, RunHeader header, ResultStoreMode mode,
        ResultDurability durability = ResultDurability::Flush);
    ~ResultStore();
    ResultStore(const ResultStore&) = delete;
    ResultStore& operator=(const ResultStore&) = delete;

    /// Whether all branches of the sample are in the file.
    bool isComplete(const SampleKey& key) const;
    std::size_t completeSamples() const;
    std::int64_t incompleteRows() const; ///< found on resuming: rows of samples that have to be done again
    std::int64_t tornBytes() const; ///< found on resuming: length of the unfinished line that was cut off

    /// Appends the rows of one sample: one row per branch of the header, in its order. Throws ResultsError when they
    /// are not that, hold a number that is not finite, or cannot be written; the file is then as it was before.
    void append(std::span<const ResultRow> rows);

private:
    struct State;
    std::unique_ptr<State> m_state;
};

} // namespace kvloupe
