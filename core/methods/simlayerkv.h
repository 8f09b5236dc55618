// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/methods/chooser.h"
#include "core/methods/method_registry.h"
#include "core/methods/scorer.h"

namespace kvloupe {

/// Mean attention of the last `queries` prompt queries over all query heads of the layer; these queries' own tokens
/// score +infinity.
class LastQueriesScorer final : public Scorer {
public:
    explicit LastQueriesScorer(std::int64_t queries);

    EvidenceNeeds needs(const PromptLayout& layout) const override;
    Scores score(const LayerEvidence& evidence, const PromptLayout& layout) const override;

private:
    std::int64_t m_queries;
};

/// Cuts lazy layers, those that look at their first and most recent tokens only, to these, and keeps the others whole,
/// whatever the budget. Zhang et al. 2024, arXiv 2410.13846; SimLayerKVPress of kvpress.
class LazyLayers final : public Chooser {
public:
    struct Parameters {
        double threshold = 0.9; ///< a layer is lazy above this attention on both ends; 1 or more = never
        std::int64_t initial = 4;
        std::int64_t recent = 1024; ///< tokens looked at; of them `last` fewer are kept, as kvpress does
        std::int64_t last = 1; ///< newest queries, whose own tokens are not looked at
    };

    /// Throws MethodError unless recent > last.
    explicit LazyLayers(Parameters parameters);

    ChooserScope scope() const override { return ChooserScope::Head; }
    std::vector<KeepSet> choose(std::span<const Scores> scores, const ChoiceContext& context) const override;
    std::vector<LayerRanking> rank(std::span<const Scores> scores, const ChoiceContext& context) const override;

private:
    bool isLazy(const Scores& layer) const;

    Parameters m_parameters;
};

MethodInfo simLayerKvMethod();

} // namespace kvloupe
