// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/methods/method_registry.h"
#include "core/methods/scorer.h"

namespace kvloupe {

/// Score of key k: attention it received from all prompt queries that can see it, sum over q of A[q, k], per query
/// head, then reduced over the group. Raw sums favour early tokens: no H2O code normalises. Zhang et al. 2023, arXiv
/// 2306.14048, section 4.
class ColumnSumScorer final : public Scorer {
public:
    ColumnSumScorer(Granularity granularity, GroupReduction reduction);

    EvidenceNeeds needs(const PromptLayout& layout) const override;
    Scores score(const LayerEvidence& evidence, const PromptLayout& layout) const override;

private:
    Granularity m_granularity;
    GroupReduction m_reduction;
};

MethodInfo h2oMethod();

} // namespace kvloupe
