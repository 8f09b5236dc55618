// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/methods/budget.h"
#include "core/methods/method.h"
#include "core/metrics/metric_catalog.h"
#include "core/prompt/prompt_layout.h"
#include "core/recording/recording.h"
#include "core/recording/recording_cache.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

namespace kvloupe {

/// What is measured of each sample.
struct AnalysisOptions {
    std::vector<Metric> metrics;
    std::vector<Method> methods; ///< with `budgets`: every method at every budget
    std::vector<Budget> budgets;
    std::optional<Budget> decodeBudget; ///< share of generated tokens to keep, for methods that evict those
    RecordingCache* cache = nullptr; ///< of what is made from all rows, as recorded_sparsity.h says; may be null
    std::int64_t lastRows = 1; ///< W: the last prompt queries that "last" stands for
    std::vector<int> layers; ///< to report on; empty = all that were recorded
    std::vector<int>
        heads; ///< query heads to report on; empty = all. A set of a KV head is reported with any of its heads
};

/// Measures samples of a recording, layer by layer, and hands out the rows of the metrics' tables.
///
/// Layers one after the other, heads in parallel (oneTBB); rows of attention are made block by block and each but once
/// for all metrics of a sample; memory O(T) per head and method beside the evidence of a layer, never a map. The order
/// of the rows and every bit of them are the same on any number of threads. Belongs to one thread, as its Recording
/// does.
class Analysis {
public:
    /// `recording` outlives this object. Throws Error when a metric needs methods and budgets and there are none, or a
    /// layer or head does not exist.
    Analysis(const Recording& recording, AnalysisOptions options);

    /// Calls `sink` with every row. `progress` gets the fraction of layers that are done and returns false to stop;
    /// false is returned then. Throws RecordingError naming the `capture` option of what a metric needs and was not
    /// recorded. Measures over generated queries of span_mass and retained_mass are left out where they were not.
    bool run(int sample, const PromptLayout& layout, const std::function<void(const MeasureRow&)>& sink,
        const std::function<bool(double)>& progress) const;

private:
    const Recording* m_recording;
    AnalysisOptions m_options;
};

} // namespace kvloupe
