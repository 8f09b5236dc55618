// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace kvloupe {

/// Which share of the attention the most attended tokens hold: the curve of arXiv 2502.01941, section 3, figure 3.
///
/// Normalised: the attention that the counted tokens received in all is 1, and their number is 1. Between whole tokens
/// the curve is straight. Column sums are taken as they are: early tokens are seen by more queries.
class CumulativeAttention {
public:
    /// `received`: attention summed over queries, per token. The first `excluded` tokens are left out, and the rest is
    /// normalised anew.
    explicit CumulativeAttention(std::span<const float> received, std::int64_t excluded = 0);

    std::int64_t tokens() const { return static_cast<std::int64_t>(m_cumulative.size()) - 1; }
    /// Share of attention on the `share` of tokens with most of it, both in [0, 1]. NaN without any attention.
    double massOfTop(double share) const;
    /// Smallest share of tokens that holds `mass` of the attention, both in [0, 1].
    double tokensHolding(double mass) const;
    /// Area under the curve: 0.5 = even, towards 1 = on one token; (1 + Gini) / 2.
    double area() const;

private:
    std::vector<double> m_cumulative; ///< [tokens + 1], share on the n most attended; empty of meaning without mass
};

} // namespace kvloupe
