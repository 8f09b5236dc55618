// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/methods/decode_policy.h"
#include "core/methods/method_registry.h"
#include "core/methods/scorer.h"

namespace kvloupe {

/// Score of key k: attention it received from all prompt queries that can see it, sum over q of A[q, k], per query
/// head, then reduced over the group. Raw sums favour early tokens: no H2O code normalises. Zhang et al. 2023, arXiv
/// 2306.14048, section 4.
class ColumnSumScorer final : public Scorer {
public:
    /// `perQuery`: the sum is divided by T - k, the number of queries that can see the key, as kvpress's
    /// ObservedAttentionPress does.
    ColumnSumScorer(Granularity granularity, GroupReduction reduction, bool perQuery = false);

    EvidenceNeeds needs(const PromptLayout& layout) const override;
    Scores score(const LayerEvidence& evidence, const PromptLayout& layout) const override;

private:
    Granularity m_granularity;
    GroupReduction m_reduction;
    bool m_perQuery;
};

/// The sums of KVCache-Factory before June 2026 (and of SCOPE): its mask covered the last `window` queries only, so
/// that every earlier query looked at all keys, later ones included.
///
/// Computed from queries and keys, O(T^2) time and O(T) memory per query head.
class NonCausalColumnSumScorer final : public Scorer {
public:
    NonCausalColumnSumScorer(std::int64_t window, Granularity granularity, GroupReduction reduction);

    EvidenceNeeds needs(const PromptLayout& layout) const override;
    Scores score(const LayerEvidence& evidence, const PromptLayout& layout) const override;

private:
    std::int64_t m_window;
    Granularity m_granularity;
    GroupReduction m_reduction;
};

/// H2O after every generated token: attention is added to the sums of the prefill, and of the tokens before the recent
/// ones that with the smallest sum leaves. Sums of tokens that stay are carried on.
///
/// `hides` is the masked variant behind the paper's tables, faithful in what is an off-by-one there: the mask that is
/// made after a step counts the coming token among the recent ones, so that the oldest of the recent tokens belongs to
/// neither group. It stays in the cache with its sum, and the next query does not see it.
class HeavyHitterPolicy final : public DecodePolicy {
public:
    struct Parameters {
        Granularity granularity = Granularity::KvHead;
        GroupReduction reduction = GroupReduction::Mean;
        std::int64_t recent = 0; ///< newest tokens that stay
        std::int64_t recentDivisor = 0; ///< floor(budget / divisor) of them instead; 0 = off
        bool hides = false;
    };

    explicit HeavyHitterPolicy(Parameters parameters);

    std::unique_ptr<DecodePolicy> clone() const override;
    Granularity granularity() const override { return m_parameters.granularity; }
    GroupReduction groupReduction() const override { return m_parameters.reduction; }
    DecodeNeeds needs() const override;
    std::vector<std::int32_t> begin(const DecodeStart& start) override;
    DecodeVerdict step(const DecodeStep& step) override;

private:
    Parameters m_parameters;
    std::int64_t m_capacity = 0;
    std::int64_t m_recent = 0;
    std::vector<double> m_sums; ///< of the tokens in the cache
};

MethodInfo h2oMethod();

} // namespace kvloupe
