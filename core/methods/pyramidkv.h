// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/methods/chooser.h"
#include "core/methods/method_registry.h"

namespace kvloupe {

/// How PyramidKV spreads a budget over the layers of a model: lower layers keep more than higher ones, in an arithmetic
/// progression whose mean is the budget. Cai et al. 2024, arXiv 2406.02069, section 4.
///
/// Kvcf: KVCache-Factory's integers; its step is rounded down, so that the layers together keep more than the budget.
/// Exact: the same end points, in between rounded by largest remainder, so that they keep exactly the budget.
/// Kvpress: in double, the window counted inside the progression, uniform more often than not.
struct PyramidSchedule {
    enum class Kind { Kvcf, Kvpress, Exact };

    Kind kind = Kind::Kvcf;
    std::int64_t window = 32; ///< observation window, which every layer keeps
    std::int64_t beta = 20; ///< the last layer keeps about a beta-th of the mean beyond the window
    BudgetRule rounding; ///< Kvpress rounds its own way

    /// Tokens that `layer` keeps of `tokens`, in [1, tokens].
    struct Share {
        std::int64_t tokens = 0;
        std::string whyUniform; ///< if every layer keeps as many, though there are several and not all is kept
    };
    Share share(int layer, int numLayers, std::int64_t tokens, const Budget& budget) const;

private:
    Share integerShare(int layer, int numLayers, std::int64_t tokens, std::int64_t budget) const;
    Share doubleShare(int layer, int numLayers, std::int64_t tokens, double budget) const;
};

/// TopScores of every layer with its share of a pyramid.
class PyramidTopScores final : public Chooser {
public:
    explicit PyramidTopScores(PyramidSchedule schedule);

    ChooserScope scope() const override { return ChooserScope::Head; }
    std::vector<KeepSet> choose(std::span<const Scores> scores, const ChoiceContext& context) const override;

private:
    PyramidSchedule m_schedule;
    TopScores m_ofLayer;
};

MethodInfo pyramidKvMethod();

} // namespace kvloupe
