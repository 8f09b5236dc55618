// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <span>

namespace kvloupe {

/// What a row of logits says about the next token, gathered from pieces of the vocabulary: the log of the softmax
/// denominator and the likeliest five ids, ties to the smaller id. Pieces may come in any order and be merged.
class NextToken {
public:
    static constexpr int candidates = 5;

    /// Takes logits of ids [firstId, firstId + logits.size()).
    void add(std::span<const float> logits, std::int32_t firstId);
    void merge(const NextToken& other);

    /// log(sum of exp(logit)) of everything added, in float64.
    double logSumExp() const;
    /// Ids by falling logit; -1 where fewer than five were added.
    const std::array<std::int32_t, candidates>& ids() const { return m_ids; }
    const std::array<float, candidates>& logits() const { return m_logits; }
    /// Whether no infinity or NaN was among the logits.
    bool finite() const { return m_finite; }

private:
    void offer(float logit, std::int32_t id);
    void addExponentials(float maximum, double sum);

    static constexpr float lowest = -std::numeric_limits<float>::infinity();

    float m_maximum = lowest;
    double m_sum = 0; // of exp(logit - m_maximum)
    bool m_finite = true;
    std::array<std::int32_t, candidates> m_ids{-1, -1, -1, -1, -1};
    std::array<float, candidates> m_logits{lowest, lowest, lowest, lowest, lowest};
};

} // namespace kvloupe
