// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/methods/chooser.h"
#include "core/methods/method_registry.h"

#include <cstdint>
#include <vector>

namespace kvloupe {

/// Tokens of each set of a layer, ascending, when all sets were ranked together.
struct JointChoice {
    std::vector<std::vector<std::int32_t>> safe; ///< kept whatever other heads claim
    std::vector<std::vector<std::int32_t>> kept; ///< `safe` and the best of all sets
};

/// Keeps `count` tokens per set on the average. Safe are what the scorer protects (infiniteEnds) and the best
/// floor(count * alpha) of each set, at least 1 unless alpha is 0; the rest goes to the best of all sets together, of
/// equal scores to the earlier set, then to the earlier token.
JointChoice chooseJointly(const Scores& layer, std::int64_t count, double alpha);

/// Shares the budget of a layer out among its heads. Feng et al. 2024, arXiv 2407.11550, section 3.
class SharedBudget final : public Chooser {
public:
    enum class Variant {
        Joint, ///< one ranking with a safe minimum per head, as kvpress: the total is exact
        /// The joint ranking only sets the number of tokens of each head, drawn `alpha` of the way to an equal share,
        /// as AdaKV's own code and KVCache-Factory: the total is exact but for the rounding of each head.
        Interpolated,
    };
    struct Parameters {
        Variant variant = Variant::Joint;
        double alpha = 0.2; ///< in [0, 1]
        /// Interpolated only: first weigh each head by the share of its mass that lies on its best tokens.
        bool normalise = true;
        BudgetRule rounding;
    };

    explicit SharedBudget(Parameters parameters);

    ChooserScope scope() const override { return ChooserScope::Layer; }
    std::vector<KeepSet> choose(std::span<const Scores> scores, const ChoiceContext& context) const override;
    std::vector<LayerRanking> rank(std::span<const Scores> scores, const ChoiceContext& context) const override;

private:
    Parameters m_parameters;
};

MethodInfo adaKvMethod();

} // namespace kvloupe
