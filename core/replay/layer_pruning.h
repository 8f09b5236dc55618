// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/methods/budget.h"
#include "core/methods/layer_pruner.h"
#include "core/methods/ranking.h"
#include "core/recording/recording.h"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

namespace kvloupe {

/// What entered each layer of a pruned prompt, and what decided on it.
struct PrunedLayer {
    std::vector<std::int32_t> positions; ///< in the layer's cache, ascending
    SetRanking ranking; ///< [promptTokens], by position: the votes of the layer before
};

/// Runs a LayerPruner over the recorded layers of one sample. Recorded rows are those of full attention: restricted to
/// the tokens that entered a layer and divided by what they retain there, they approximate what the layer would have
/// seen; that its hidden states would differ is ignored (docs/methods.md, "When").
///
/// Rows of the voting queries are computed from queries and keys some at a time and never held together: memory is the
/// keys of a layer, O(threads x block x T) for rows, O(heads x budgets x T) for votes. Several budgets share one pass.
/// Thread-safe: it opens the recording a second time, when it is first asked, and works on it alone.
class LayerPruning {
public:
    /// Throws RecordingError if a layer is missing, or its queries and keys are.
    LayerPruning(const Recording& recording, int sample, std::shared_ptr<const LayerPruner> pruner);

    /// One entry per recorded layer. Computed at the first call with a budget, the last 64 budgets are remembered.
    std::shared_ptr<const std::vector<PrunedLayer>> at(const Budget& budget) const;
    /// Computes all of `budgets` in one pass over the layers.
    void prepare(std::span<const Budget> budgets) const;

private:
    using Course = std::shared_ptr<const std::vector<PrunedLayer>>;

    Course find(const Budget& budget) const;
    void isolatedWalk(std::span<const Budget> budgets) const;
    void walk(std::span<const Budget> budgets) const;

    std::filesystem::path m_path;
    int m_sample;
    std::shared_ptr<const LayerPruner> m_pruner;
    mutable std::mutex m_mutex; ///< of what follows
    mutable std::optional<Recording> m_recording;
    mutable std::vector<std::pair<Budget, Course>> m_known; ///< the newest last
};

} // namespace kvloupe
