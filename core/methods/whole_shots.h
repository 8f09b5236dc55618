// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/methods/chooser.h"
#include "core/methods/method_registry.h"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kvloupe {

/// A prompt taken apart into few-shot examples. Where two examples overlap, a token belongs to the one of lower number.
struct ShotUnits {
    struct Unit {
        std::int64_t begin = 0; ///< position of its first token
        std::int64_t size = 0; ///< tokens, >= 1
    };
    std::vector<Unit>
        units; ///< the examples in order of their number, then other runs of tokens if they were asked for
    std::vector<std::int32_t> unitOf; ///< [promptTokens], -1 = in no unit

    /// `runsOutside`: what lies between the examples becomes units too. Throws MethodError naming `method` if the
    /// prompt has no examples.
    static ShotUnits of(const PromptLayout& layout, bool runsOutside, std::string_view method);
};

/// Keeps whole few-shot examples by the mean score of their tokens, best first, while they fit. Liu et al. 2025, arXiv
/// 2502.01941, section 5.1; the paper leaves open what the enumerations name.
class WholeShots final : public Chooser {
public:
    /// What happens to tokens outside the examples: instruction, question, template.
    enum class Outside { Protect, RankAsShots, Drop };
    /// What follows when the next best example does not fit: later ones are tried, none is, or the subset of the
    /// largest sum of scores is taken instead.
    enum class Fit { Skip, Stop, Knapsack };
    struct Parameters {
        bool wholeModel = false; ///< one set for all layers, by the sum of their scores
        Outside outside = Outside::Protect;
        bool outsideCounts = true; ///< protected tokens are part of the budget
        Fit fit = Fit::Skip;
        BudgetRule rounding;
    };

    /// `method` begins its messages.
    WholeShots(std::string_view method, Parameters parameters);

    ChooserScope scope() const override { return m_parameters.wholeModel ? ChooserScope::Model : ChooserScope::Head; }
    std::vector<KeepSet> choose(std::span<const Scores> scores, const ChoiceContext& context) const override;
    std::vector<LayerRanking> rank(std::span<const Scores> scores, const ChoiceContext& context) const override;

private:
    std::string m_method;
    Parameters m_parameters;
};

/// Parameters of WholeShots, and how they are read.
std::vector<ParameterInfo> wholeShotsParameters();
WholeShots::Parameters wholeShotsValues(const ParameterValues& values);

} // namespace kvloupe
