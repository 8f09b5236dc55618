// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/methods/method.h"
#include "core/replay/cache_timeline.h"
#include "core/replay/evidence_builder.h"
#include "core/replay/explanation.h"
#include "core/replay/layer_pruning.h"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace kvloupe {

/// What one method keeps of one sample at one budget.
struct ReplayResult {
    std::map<int, KeepSet> kept; ///< by layer, positions
    /// Share of the attention of the last prompt queries that falls on kept tokens, mean over these queries,
    /// [layer][query head], in [0, 1]. Empty until addRetainedMass.
    std::map<int, std::vector<float>> retainedMass;
    std::int64_t requestedTokens = 0; ///< the budget as the user wrote it, rounded down; the method may round otherwise
    std::vector<std::string> notes; ///< remarks of the method on its result, each once

    std::int64_t realisedTokens(int layer, int set) const;
};

/// Scores of all layers of one method on one sample: computed once, cut at any number of budgets.
///
/// This is what makes the slider cheap: choose() re-selects, it reads nothing and scores nothing. Thread-safe once
/// built.
class ScoredSample {
public:
    /// `evidence` must cover method.needs(layout); one entry per recorded layer, ascending. Scores layers in parallel.
    ScoredSample(Method method, PromptLayout layout, std::span<const LayerEvidence> evidence, int sample = 0);
    /// From scores that were computed layer by layer, so that evidence of one layer only is held at a time. `scores` is
    /// in the order of `layers`. `pruning` is that of a method with a layer pruner.
    ScoredSample(Method method, PromptLayout layout, std::vector<int> layers, std::vector<Scores> scores, int numLayers,
        int kvHeads, int sample = 0, std::shared_ptr<const LayerPruning> pruning = nullptr);

    /// From layers that were scored one at a time, ascending, at least one.
    static ScoredSample join(std::span<const std::shared_ptr<const ScoredSample>> layers,
        std::shared_ptr<const LayerPruning> pruning = nullptr);

    const Method& method() const { return m_method; }
    const PromptLayout& layout() const { return m_layout; }
    std::span<const Scores> scores() const { return m_scores; }
    std::span<const int> layers() const { return m_layers; }
    int numLayers() const { return m_numLayers; }
    int kvHeads() const { return m_kvHeads; }

    /// Tells which budgets are coming, for methods that read the recording anew for each (layer pruners): they are
    /// computed together.
    void prepare(std::span<const Budget> budgets) const;
    /// Cuts every layer, in parallel (oneTBB); the result does not depend on the number of threads.
    ReplayResult choose(const Budget& budget) const;
    /// Positions kept in one layer: what a window asks for first while a slider moves. Costs the whole model for
    /// choosers of Model scope. Throws MethodError if `layer` was not scored.
    KeepSet chooseLayer(const Budget& budget, int layer) const;
    /// What choose() ranked the tokens by, in the order of layers(); indices are position - firstPosition.
    std::vector<LayerRanking> rank(const Budget& budget) const;

private:
    const LayerPruning& pruning() const;
    std::vector<KeepSet> cut(
        std::size_t first, std::size_t count, const Budget& budget, std::vector<std::string>& notes) const;

    Method m_method;
    PromptLayout m_layout;
    int m_numLayers = 0;
    int m_kvHeads = 0;
    int m_sample = 0;
    std::vector<int> m_layers;
    std::vector<Scores> m_scores;
    std::shared_ptr<const LayerPruning> m_pruning; ///< of a method without a chooser
};

/// Cuts layers that were scored one at a time, by a method that looks at no more than a layer, in parallel: one KeepSet
/// per entry.
std::vector<KeepSet> chooseLayers(std::span<const std::shared_ptr<const ScoredSample>> layers, const Budget& budget);

/// Fills result.retainedMass from the last min(rows, evidence.lastRowCount) rows of each layer's evidence.
void addRetainedMass(ReplayResult& result, std::span<const LayerEvidence> evidence, std::int64_t rows = 1);

/// Scores and cuts samples of a recording. Belongs to one thread, as its Recording does.
class Replay {
public:
    /// `recording` outlives this object.
    explicit Replay(const Recording& recording);

    /// Scores of several methods on every recorded layer; evidence is merged and held for one layer at a time.
    std::vector<ScoredSample> score(int sample, std::span<const Method> methods) const;
    /// The same with a layout that is not the recording's (spans corrected by hand).
    std::vector<ScoredSample> score(int sample, const PromptLayout& layout, std::span<const Method> methods) const;

    /// Fills retainedMass of all `results` of one sample from one pass over the rows. Leaves it empty when the
    /// recording has no rows (neither queries and keys nor a tail).
    void addRetainedMass(int sample, std::span<ReplayResult> results, std::int64_t rows = 1) const;
    void addRetainedMass(int sample, ReplayResult& result, std::int64_t rows = 1) const;

    /// Explains what scored.choose(budget) keeps; scores once more without pooling where the method pools.
    Explanation explain(int sample, const ScoredSample& scored, const Budget& budget) const;

    /// Runs the method's decode policy over the first `steps` generated tokens (all without). Methods without a policy
    /// keep every generated token. `decodeBudget` is the share of generated tokens to keep for methods that have one
    /// (ShotKV), without it that of the prompt. Throws RecordingError if the policy needs rows that were not recorded,
    /// MethodError if `steps` is more than was generated.
    CacheTimeline timeline(int sample, const ScoredSample& scored, const Budget& budget,
        std::optional<std::int64_t> steps = std::nullopt, const Budget* decodeBudget = nullptr) const;

private:
    const Recording* m_recording;
};

} // namespace kvloupe
