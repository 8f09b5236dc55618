// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/methods/chooser.h"
#include "core/methods/method_registry.h"
#include "core/methods/scorer.h"

#include <cstdint>
#include <span>
#include <vector>

namespace kvloupe {

/// Of the keys in the rows `rows` of `keys` [*, headDim]: -cos(k, anchor), where the anchor is the mean of these keys,
/// each divided by its norm. 0 for a key or an anchor of zeros. In double, in the order of `rows`.
std::vector<float> keyDifferences(std::span<const float> keys, int headDim, std::span<const std::int32_t> rows);

/// Keys that point elsewhere than the others are worth keeping. Post-RoPE keys per KV head; nothing is protected.
///
/// Park et al. 2025, arXiv 2504.15364, section 3.
class KeyDifferenceScorer final : public Scorer {
public:
    /// `handsKeysOn`: the chooser gets the keys themselves, as Scores::vectors.
    explicit KeyDifferenceScorer(bool handsKeysOn);

    EvidenceNeeds needs(const PromptLayout& layout) const override;
    Scores score(const LayerEvidence& evidence, const PromptLayout& layout) const override;

private:
    bool m_handsKeysOn;
};

/// The paper's way through a long prompt, as kvpress emulates it on a finished prefill: hold the first n tokens, then
/// take the next `block` tokens at a time and cut what is held back to the n best, scored among themselves.
class KeyDifferenceBlocks final : public Chooser {
public:
    /// `block` >= 1.
    KeyDifferenceBlocks(std::int64_t block, BudgetRule rounding);

    ChooserScope scope() const override { return ChooserScope::Head; }
    /// Reads Scores::vectors. O(T (n + block) headDim / block) per set.
    std::vector<KeepSet> choose(std::span<const Scores> scores, const ChoiceContext& context) const override;
    /// Tokens by the score at which they were last judged.
    std::vector<LayerRanking> rank(std::span<const Scores> scores, const ChoiceContext& context) const override;

private:
    struct Outcome {
        std::vector<std::int32_t> kept;
        std::vector<float> lastScores; ///< [T]
    };
    Outcome run(const Scores& layer, int set, std::int64_t count) const;

    std::int64_t m_block;
    BudgetRule m_rounding;
};

MethodInfo keyDiffMethod();

} // namespace kvloupe
