// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/methods/method.h"
#include "core/replay/evidence_builder.h"

#include <map>
#include <span>
#include <vector>

namespace kvloupe {

/// What one method keeps of one sample at one budget.
struct ReplayResult {
    std::map<int, KeepSet> kept; ///< by layer
    /// Mean over later... attention of the last prompt query rows that falls on kept tokens, [layer][query head], in [0, 1]; empty
    /// where the recording has no rows. See docs/methods.md, retained mass.
    std::map<int, std::vector<float>> retainedMass;
    std::int64_t requestedTokens = 0;

    std::int64_t realisedTokens(int layer, int set) const;
};

/// Scores of all layers of one method on one sample: computed once, cut at any number of budgets.
///
/// This is what makes the slider cheap: choose() re-selects, it reads nothing and scores nothing. Thread-safe once built.
class ScoredSample {
public:
    /// `evidence` must cover method.needs(layout); one entry per recorded layer, ascending.
    ScoredSample(Method method, PromptLayout layout, std::span<const LayerEvidence> evidence);

    const Method& method() const { return m_method; }
    /// Runs heads and layers in parallel (oneTBB).
    ReplayResult choose(const Budget& budget) const;
    std::span<const Scores> scores() const { return m_scores; }
    std::span<const int> layers() const { return m_layers; }

private:
    Method m_method;
    PromptLayout m_layout;
    int m_numLayers = 0;
    int m_kvHeads = 0;
    std::vector<int> m_layers;
    std::vector<Scores> m_scores;
};

/// Evidence of every recorded layer of a sample for several methods at once, then their scores.
class Replay {
public:
    explicit Replay(const Recording& recording);
    std::vector<ScoredSample> score(int sample, std::span<const Method> methods) const;
    /// Fills ReplayResult::retainedMass: attention of the last `rows` prompt queries that falls on kept tokens.
    void addRetainedMass(int sample, ReplayResult& result, std::int64_t rows = 1) const;

private:
    const Recording* m_recording;
};

} // namespace kvloupe
