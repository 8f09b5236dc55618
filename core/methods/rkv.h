// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/methods/decode_policy.h"
#include "core/methods/method_registry.h"
#include "core/methods/scorer.h"

#include <cstdint>
#include <span>
#include <vector>

namespace kvloupe {

/// Importance against redundancy, for the tokens before the newest `window` of one KV head's cache: lambda * I -
/// (1 - lambda) * R. Cai et al. 2025, arXiv 2505.24133, section 3, as its code has it.
///
/// I: per query the largest logit of the group, softmax over these tokens, mean over the queries, maximum over
/// neighbours. R: mean over rows of the cosine similarity of the keys, softmax over all tokens; the similarity has a
/// diagonal of 0, and in each row the last entry above `threshold` is set to 0 (without one, column 0).
///
/// Time O(n^2 * head_dim), memory O(n * head_dim): similarities exist for some rows at a time.
struct RedundancyRule {
    int window = 8;
    int kernel = 7; ///< odd
    double lambda = 0.1;
    double threshold = 0.5;

    /// `queries`: [queryHeads, rows, headDim] of the newest tokens. Returns Z of the first tokens - min(window, tokens)
    /// tokens.
    std::vector<double> scores(
        std::span<const float> queries, std::int64_t rows, const KeyRows& keys, std::size_t tokens, double scale) const;
};

class RedundancyScorer final : public Scorer {
public:
    explicit RedundancyScorer(RedundancyRule rule);

    EvidenceNeeds needs(const PromptLayout& layout) const override;
    Scores score(const LayerEvidence& evidence, const PromptLayout& layout) const override;
    std::shared_ptr<const Scorer> withoutPooling() const override;

private:
    RedundancyRule m_rule;
};

/// Cuts the cache back to its budget after every `interval` generated tokens.
class RedundancyPolicy final : public DecodePolicy {
public:
    RedundancyPolicy(RedundancyRule rule, std::int64_t interval);

    std::unique_ptr<DecodePolicy> clone() const override;
    Granularity granularity() const override { return Granularity::KvHead; }
    DecodeNeeds needs() const override;
    std::vector<std::int32_t> begin(const DecodeStart& start) override;
    DecodeVerdict step(const DecodeStep& step) override;

private:
    void remember(std::span<const float> query);

    RedundancyRule m_rule;
    std::int64_t m_interval;
    std::int64_t m_capacity = 0;
    std::int64_t m_generated = 0;
    double m_scale = 0.0;
    std::size_t m_heads = 0;
    std::size_t m_dim = 0;
    std::vector<float> m_queries; ///< [heads, window, dim], the newest last
    std::int64_t m_rows = 0; ///< of m_queries that hold a query
};

MethodInfo rkvMethod();

} // namespace kvloupe
