// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/methods/budget.h"
#include "core/methods/keep_set.h"
#include "core/methods/scorer.h"
#include "core/prompt/prompt_layout.h"

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace kvloupe {

/// How far a chooser looks before it cuts: one head at a time, all heads of a layer (AdaKV), or all layers (ShotKV v1).
/// A live cache holds its cut back until the scope is complete.
enum class ChooserScope { Head, Layer, Model };

/// From scores and a budget to kept positions. Immutable after construction.
class Chooser {
public:
    virtual ~Chooser() = default;
    virtual ChooserScope scope() const = 0;

    /// `scores` holds one entry (Head and Layer scope) or one per recorded layer (Model scope), in the order of `layers`,
    /// the layers' numbers out of `numLayers`. One KeepSet per entry. Ties: the smaller position wins; NaN ranks last.
    /// `kvHeads`: how many sets a layer-level decision is repeated for.
    virtual std::vector<KeepSet> choose(std::span<const Scores> scores, std::span<const int> layers, int numLayers, int kvHeads,
        const Budget& budget, const PromptLayout& layout) const = 0;
};

/// Tokens that are taken before any ranking (docs/methods.md, selection). When the budget does not hold them all: only a
/// recent window - its newest; only sinks - the oldest; both - one newest, then sinks, then the rest of the window newest first.
struct Protection {
    std::int64_t sinks = 0;
    std::int64_t recent = 0;
};

/// Positions kept of `scores` [T]: the protected ones, then the best of the rest by (score descending, index ascending),
/// `count` in all, ascending. Partial selection: O(T) on average. `count` is clamped to [0, T].
std::vector<std::int32_t> selectTop(std::span<const float> scores, std::int64_t count, const Protection& protection);

/// The budget as a number of tokens, for one layer.
using BudgetRule = std::optional<BudgetRounding>;

/// Keeps the best of every set on its own, with a fixed protection or a recent window that is a share of the budget.
class TopScores final : public Chooser {
public:
    struct Parameters {
        Protection protection;
        /// Recent window as floor(n_kept * numerator / denominator), instead of protection.recent, when set (H2O: 1 / 2).
        std::optional<std::int64_t> recentDivisor;
        BudgetRule rounding;
        /// KVCache-Factory's rule: nothing is cut while T < capacity. Budgets given as capacity never cut shorter prompts anyway.
    };

    explicit TopScores(Parameters parameters);

    ChooserScope scope() const override { return ChooserScope::Head; }
    std::vector<KeepSet> choose(std::span<const Scores> scores, std::span<const int> layers, int numLayers, int kvHeads,
        const Budget& budget, const PromptLayout& layout) const override;

private:
    Parameters m_parameters;
};

} // namespace kvloupe
