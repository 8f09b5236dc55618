// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/training/adapter_trainer.h"

#include <cstdint>
#include <filesystem>
#include <vector>

namespace kvloupe {

/// One JSON line per step of a training, appended as it happens; `seconds` is the only field that differs when a
/// training is repeated.
class TrainingLog {
public:
    struct Entry {
        TrainingStep step;
        double seconds = 0.0; ///< of the step
    };

    /// An empty log; the file is made or emptied.
    static TrainingLog begin(const std::filesystem::path& file);
    /// The first `steps` entries of a log; later ones, of steps that were not saved, are taken out of the file. Throws
    /// AdapterError if there are fewer, or if a line is damaged.
    static TrainingLog resume(const std::filesystem::path& file, std::int64_t steps);

    void append(const Entry& entry);

    /// Mean loss over at most ten steps at either end, nats per answer token; 0 when there are none.
    double firstLoss() const;
    double lastLoss() const;
    double seconds() const; ///< of all steps

private:
    explicit TrainingLog(std::filesystem::path file)
        : m_file(std::move(file))
    {
    }

    std::filesystem::path m_file;
    std::vector<Entry> m_entries;
};

} // namespace kvloupe
