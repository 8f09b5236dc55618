// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace kvloupe {

/// Euclidean norm of each vector of `dim` floats.
std::vector<float> euclideanNorms(std::span<const float> vectors, std::int64_t dim);

struct QueryStatistics {
    std::vector<float> mean; ///< [heads, dim]
    std::vector<float> covariance; ///< [heads, dim, dim], divided by the count
};

/// Mean and covariance of queries [heads, tokens, dim] before RoPE, from position 4 on: the sink positions are left
/// out, as ExpectedAttention does (docs/methods.md). All 0 for shorter prompts.
QueryStatistics queryStatistics(
    std::span<const float> queries, std::int64_t heads, std::int64_t tokens, std::int64_t dim);

} // namespace kvloupe
