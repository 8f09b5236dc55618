// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/methods/method_registry.h"
#include "core/methods/scorer.h"

namespace kvloupe {

/// Score of key k: mean attention it received from the prompt queries that can see it, sum over q of A[q, k] divided by
/// T - k, reduced over the group. H2O's sums without their favour for early tokens. ObservedAttentionPress of kvpress.
class MeanColumnScorer final : public Scorer {
public:
    MeanColumnScorer(Granularity granularity, GroupReduction reduction);

    EvidenceNeeds needs(const PromptLayout& layout) const override;
    Scores score(const LayerEvidence& evidence, const PromptLayout& layout) const override;

private:
    Granularity m_granularity;
    GroupReduction m_reduction;
};

MethodInfo observedAttentionMethod();

} // namespace kvloupe
