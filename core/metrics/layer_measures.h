// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/metrics/analysis.h"
#include "core/metrics/token_regions.h"
#include "core/replay/evidence_builder.h"
#include "core/replay/replay.h"

#include <functional>
#include <optional>
#include <span>
#include <vector>

namespace kvloupe {

// The parts that Analysis is made of: what one sample is, and the rows that one layer of it gives.

/// One method at one budget on a sample.
struct AnalysisCase {
    const ScoredSample* scored = nullptr;
    const Budget* budget = nullptr;
    ReplayResult result;
    std::optional<CacheTimeline> timeline; ///< of methods that act while decoding, when generated rows are measured
};

/// A sample under analysis.
struct AnalysedSample {
    const Recording& recording;
    const AnalysisOptions& options;
    int sample = 0;
    const PromptLayout& layout;
    TokenRegions regions;
    std::vector<int> heads; ///< query heads to report on, ascending
    std::vector<AnalysisCase> cases;
    const std::function<void(const MeasureRow&)>& sink;

    bool wants(Metric metric) const;
    std::int64_t promptTokens() const { return layout.promptTokens(); }
    std::int64_t generatedTokens() const { return layout.totalTokens() - layout.promptTokens(); }
    /// Positions that the cache of a layer holds when the prompt is cut.
    TokenRange cacheOf(int layer) const;
    /// Sets of `keep` that belong to the heads to report on, ascending.
    std::vector<int> setsOf(const KeepSet& keep) const;
    /// Hands out a row: `cells` follow on recording, sample and id, for a case also on method and budget.
    void write(Metric metric, std::vector<MeasureCell> cells, const AnalysisCase* of = nullptr) const;
};

/// What the generated queries of one layer look at, from one pass over their rows. Query heads are indices into
/// AnalysedSample::heads for `retained`, all heads for `received`.
struct GeneratedAttention {
    std::vector<float> received; ///< [queryHeads, T], summed over the generated queries
    std::vector<std::vector<std::vector<double>>> retained; ///< [case][head][step], empty unless asked for
};
GeneratedAttention generatedAttention(const AnalysedSample& sample, int layer);

/// sparsity, sparsity_rows, span_mass, cumulative, concentration. `evidence` holds the last rows, `generated` may be
/// null.
void writeAttentionMeasures(
    const AnalysedSample& sample, int layer, const LayerEvidence& evidence, const GeneratedAttention* generated);

/// retained_mass, representation_error.
void writeLossMeasures(
    const AnalysedSample& sample, int layer, const LayerEvidence& evidence, const GeneratedAttention* generated);

/// kept_spans, broken_shots, global_eviction, position_bias, method_overlap, head_overlap, oracle_overlap.
void writeKeptMeasures(const AnalysedSample& sample, int layer, const GeneratedAttention* generated);

/// global_eviction over all layers, layer_overlap.
void writeModelMeasures(const AnalysedSample& sample);

} // namespace kvloupe
