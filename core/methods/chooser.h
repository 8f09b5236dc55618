// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/methods/budget.h"
#include "core/methods/keep_set.h"
#include "core/methods/ranking.h"
#include "core/methods/scorer.h"
#include "core/prompt/prompt_layout.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace kvloupe {

/// How far a chooser looks before it cuts: one head at a time, all heads of a layer (AdaKV), or all layers (ShotKV v1).
/// A live cache holds its cut back until the scope is complete.
enum class ChooserScope { Head, Layer, Model };

/// What a decision is about, beside the scores.
struct ChoiceContext {
    std::span<const int> layers; ///< numbers of the layers that the scores belong to
    int numLayers = 1; ///< of the model
    int kvHeads = 1; ///< how many sets a layer-level decision is repeated for
    const Budget& budget;
    const PromptLayout& layout;
    int sample = 0; ///< for kept sets that come from a file
    /// Gets remarks on the result that a reader must see: "budget of 12 tokens is below the 64 protected tokens".
    std::vector<std::string>* notes = nullptr;

    void note(std::string remark) const;
    /// The remark on a budget of `count` tokens that is below the `guarded` protected ones; nothing if it is not.
    void noteIfBelow(std::int64_t count, std::int64_t guarded) const;
};

/// From scores and a budget to kept indices. Immutable after construction.
class Chooser {
public:
    virtual ~Chooser() = default;
    virtual ChooserScope scope() const = 0;

    /// `scores` holds one entry (Head and Layer scope) or one per recorded layer (Model scope), in the order of
    /// context.layers. One KeepSet per entry, with indices into the scores (position - firstPosition).
    /// Ties: the smaller index wins; NaN counts as minus infinity.
    virtual std::vector<KeepSet> choose(std::span<const Scores> scores, const ChoiceContext& context) const = 0;

    /// What choose() ranked the tokens by, for "why was this token dropped?"; entries as choose() returns them. Without
    /// an own answer: each token by its score, ends of infinite score guarded as sinks and window.
    virtual std::vector<LayerRanking> rank(std::span<const Scores> scores, const ChoiceContext& context) const;
};

/// Tokens that are taken before any ranking (docs/methods.md, selection). When the budget does not hold them all: only
/// a recent window - its newest; only sinks - the oldest; both - one newest, then sinks, then the rest of the window
/// newest first.
struct Protection {
    std::int64_t sinks = 0;
    std::int64_t recent = 0;
};

/// Indices kept of `scores` [T]: the protected ones, then the best of the rest by (score descending, index ascending),
/// `count` in all, ascending. `count` is clamped to [0, T]. Partial selection: O(T), some microseconds per 1,000
/// tokens.
std::vector<std::int32_t> selectTop(std::span<const float> scores, std::int64_t count, const Protection& protection);

/// What a scorer protects itself: the runs of +infinity at both ends of `scores`. All infinite = all recent.
Protection infiniteEnds(std::span<const float> scores);

/// The two ends of `tokens` tokens that `count` slots hold under the rule of Protection: all kept when `count` covers
/// them, both ends meet when sinks + recent >= tokens.
std::vector<std::int32_t> selectEnds(std::int64_t tokens, std::int64_t count, const Protection& protection);

/// How a method rounds its budget; empty = the budget's own default.
using BudgetRule = std::optional<BudgetRounding>;

/// Keeps everything, in as many sets as the scores have.
class KeepAll final : public Chooser {
public:
    ChooserScope scope() const override { return ChooserScope::Head; }
    std::vector<KeepSet> choose(std::span<const Scores> scores, const ChoiceContext& context) const override;
};

/// Keeps the best of every set on its own, after what the scorer protects (infiniteEnds) and a recent window.
class TopScores final : public Chooser {
public:
    struct Parameters {
        std::int64_t recent = 0; ///< newest tokens that are kept, beside the scorer's own window
        /// Recent window of floor(n_kept / divisor) tokens instead (H2O: 2); 0 = off.
        std::int64_t recentDivisor = 0;
        BudgetRule rounding;
    };

    explicit TopScores(Parameters parameters);

    ChooserScope scope() const override { return ChooserScope::Head; }
    std::vector<KeepSet> choose(std::span<const Scores> scores, const ChoiceContext& context) const override;
    std::vector<LayerRanking> rank(std::span<const Scores> scores, const ChoiceContext& context) const override;

private:
    std::int64_t recentOf(std::int64_t count) const;

    Parameters m_parameters;
};

} // namespace kvloupe
