// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/methods/method_registry.h"
#include "core/methods/pooling.h"
#include "core/methods/scorer.h"

#include <memory>
#include <vector>

namespace kvloupe {

/// Keeps what the last prompt queries (the observation window) look at, and the window itself.
///
/// Score of key k < T - window: sum over the window's queries of A[q, k], pooled along the tokens, reduced over the
/// query heads of the set. The window's own tokens score +infinity. Li et al. 2024, arXiv 2404.14469, section 4;
/// canonical choices in docs/methods.md.
class SnapKvScorer final : public Scorer {
public:
    /// Where query heads are brought together: maximum pooling gives other results before than after.
    enum class GroupStage { BeforePooling, AfterPooling };
    /// Sum or mean over the window's queries: the same ranking, unless somebody adds to the scores (CriticalKV).
    enum class WindowReduction { Sum, Mean };
    /// What becomes of the window's own tokens: kept before anything is ranked, or scored as all others are.
    enum class WindowTokens { Kept, Scored };

    struct Parameters {
        int window = 32;
        int kernel = 7; ///< odd
        TokenPooling pooling = TokenPooling::Maximum;
        Granularity granularity = Granularity::KvHead;
        GroupReduction reduction = GroupReduction::Mean;
        GroupStage stage = GroupStage::BeforePooling;
        WindowReduction windowReduction = WindowReduction::Sum;
        WindowTokens windowTokens = WindowTokens::Kept;
    };

    /// Throws MethodError for an even kernel or one or a window below 1.
    explicit SnapKvScorer(Parameters parameters);

    const Parameters& parameters() const { return m_parameters; }
    EvidenceNeeds needs(const PromptLayout& layout) const override;
    Scores score(const LayerEvidence& evidence, const PromptLayout& layout) const override;
    std::shared_ptr<const Scorer> withoutPooling() const override;

private:
    Parameters m_parameters;
};

/// What can be set of the scorer, for SnapKV and whoever ranks as it does (PyramidKV).
std::vector<ParameterInfo> snapKvScorerParameters();
SnapKvScorer::Parameters snapKvScorerParameters(const ParameterValues& values);

MethodInfo snapKvMethod();

} // namespace kvloupe
