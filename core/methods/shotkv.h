// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/methods/decode_policy.h"
#include "core/methods/method_registry.h"
#include "core/methods/scorer.h"

#include <cstdint>
#include <vector>

namespace kvloupe {

/// Attention that a token received from some prompt queries, summed over these queries and all query heads of the
/// layer. Liu et al. 2025, arXiv 2502.01941, Eq. 3; which queries is left open there.
class ShotAttentionScorer final : public Scorer {
public:
    enum class Observation {
        Suffix, ///< all queries after the last example; fewer than 8: as Window
        Window, ///< the last `window` queries
        AllSum, ///< all prompt queries
        AllMean, ///< the same divided by the number of queries that can see the token
    };

    ShotAttentionScorer(Observation observation, std::int64_t window);

    EvidenceNeeds needs(const PromptLayout& layout) const override;
    Scores score(const LayerEvidence& evidence, const PromptLayout& layout) const override;

private:
    std::int64_t rows(const PromptLayout& layout) const;

    Observation m_observation;
    std::int64_t m_window;
};

/// Keeps max(1, floor(r_d * n)) of n generated tokens by the attention they receive, the newest first of all; the
/// prompt stays as it is. Evicted tokens do not come back. Ibid., Eqs. 7 - 9. r_d is DecodeStart::decodeBudget, without
/// one the share of the prompt that the capacity is.
class GeneratedTokens final : public DecodePolicy {
public:
    struct Parameters {
        bool cumulative = false; ///< attention of all queries so far, not of the current one alone
        std::int64_t recent = 1; ///< newest tokens that are safe, inside the budget
        std::int64_t warmup = 0; ///< generated tokens before the first eviction
        std::int64_t interval = 1; ///< generated tokens between two evictions
        BudgetRule rounding;
    };

    explicit GeneratedTokens(Parameters parameters);

    std::unique_ptr<DecodePolicy> clone() const override;
    Granularity granularity() const override { return Granularity::Layer; }
    DecodeNeeds needs() const override;
    std::vector<std::int32_t> begin(const DecodeStart& start) override;
    DecodeVerdict step(const DecodeStep& step) override;

private:
    std::int64_t tokensKept(std::int64_t generated) const;

    Parameters m_parameters;
    std::optional<Budget> m_budget;
    std::int64_t m_capacity = 0;
    std::int64_t m_promptTokens = 0;
    std::vector<double> m_sums; ///< of the generated tokens in the cache
};

/// Parameters of GeneratedTokens and of the phases in which a method acts.
std::vector<ParameterInfo> shotPhaseParameters();
/// Fills chooser and decode policy of `method` as the phases say, which is what ShotKV and its control share. `scorer`
/// serves the prefill.
void setShotPhases(Method& method, const ParameterValues& values, std::shared_ptr<const Scorer> scorer,
    std::shared_ptr<const Chooser> chooser);

MethodInfo shotKvMethod();

} // namespace kvloupe
