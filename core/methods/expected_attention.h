// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/methods/method_registry.h"
#include "core/methods/scorer.h"

#include <cstdint>

namespace kvloupe {

/// Keeps the keys that future queries, taken as normally distributed, will look at.
///
/// Queries before RoPE have mean mu and covariance C, turned by the mean R of the rotations at the next
/// `futurePositions` positions. Of the keys behind the first `sinks`: z = k.(R mu) / sqrt(d) + k^T (R C R^T) k / (2 d),
/// softmax over the keys, mean over the group, plus epsilon, times |v|. The sinks score +infinity. The statistics are
/// those of prompt positions >= 4, whatever `sinks` is. Devoto et al. 2025, arXiv 2510.00636, section 3.
class ExpectedAttentionScorer final : public Scorer {
public:
    struct Parameters {
        std::int64_t futurePositions = 512; ///< >= 1
        std::int64_t sinks = 4;
        bool covariance = true;
        bool valueNorms = true; ///< epsilon counts only with them
        double epsilon = 0.0;
    };

    explicit ExpectedAttentionScorer(Parameters parameters);

    EvidenceNeeds needs(const PromptLayout& layout) const override;
    /// Throws MethodError for an odd headDim.
    Scores score(const LayerEvidence& evidence, const PromptLayout& layout) const override;

private:
    Parameters m_parameters;
};

MethodInfo expectedAttentionMethod();

} // namespace kvloupe
