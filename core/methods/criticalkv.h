// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/methods/chooser.h"
#include "core/methods/method_registry.h"
#include "core/methods/scorer.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace kvloupe {

/// The scores of another scorer, with the size of what each token adds to the output as weights: the 1-norm of W_o,h v,
/// mean over the query heads of the set.
class OutputWeightedScorer final : public Scorer {
public:
    explicit OutputWeightedScorer(std::shared_ptr<const Scorer> inner);

    EvidenceNeeds needs(const PromptLayout& layout) const override;
    Scores score(const LayerEvidence& evidence, const PromptLayout& layout) const override;
    std::shared_ptr<const Scorer> withoutPooling() const override;

private:
    std::shared_ptr<const Scorer> m_inner;
};

/// Keeps a first share of each set's budget by the scores alone, the rest by (score + epsilon) * weight.
/// Feng et al. 2025, arXiv 2502.03805, section 4.
class TwoStages final : public Chooser {
public:
    struct Parameters {
        double epsilon = 1e-4;
        double firstShare = 0.5; ///< in [0, 1]
        bool sharedBudget = false; ///< budgets of heads by chooseJointly (CriticalAdaKV)
        double alpha = 0.2; ///< of chooseJointly
        BudgetRule rounding;
        std::string remark; ///< noted with every result, if any
    };

    explicit TwoStages(Parameters parameters);

    ChooserScope scope() const override { return m_parameters.sharedBudget ? ChooserScope::Layer : ChooserScope::Head; }
    /// Reads Scores::weights.
    std::vector<KeepSet> choose(std::span<const Scores> scores, const ChoiceContext& context) const override;
    std::vector<LayerRanking> rank(std::span<const Scores> scores, const ChoiceContext& context) const override;

private:
    /// One set on its way: what the stages took before weights counted, and what the rest is ranked by.
    struct Stages {
        std::int64_t count = 0;
        std::vector<std::int32_t> safe;
        std::vector<std::int32_t> first; ///< holds `safe`
        std::vector<float> weighed; ///< [T], +infinity for `first`
    };
    std::vector<Stages> stagesOf(const Scores& layer, const ChoiceContext& context) const;

    Parameters m_parameters;
};

MethodInfo criticalKvMethod();

} // namespace kvloupe
