// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/methods/budget.h"
#include "core/methods/ranking.h"

#include <cstdint>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace kvloupe {

class ScoredSample;

/// Why every token of one set stayed or went. Arrays are by position, [promptTokens].
struct SetExplanation {
    std::vector<bool> kept;
    std::vector<Guard> guards; ///< what took it before anything was ranked
    std::vector<float> scores; ///< what it was ranked by: its own score, its chunk's, its shot's; NaN = not ranked
    std::vector<std::int32_t> ranks; ///< 1 = best, equal scores share a rank; 0 = not ranked
    /// The same without pooling, for methods that pool: a token that is kept with and not without owes its place to its
    /// neighbours. Else empty.
    std::vector<bool> keptWithoutPooling;
    std::vector<float> scoresWithoutPooling;
    float threshold = std::numeric_limits<float>::quiet_NaN(); ///< lowest score that was kept by rank, NaN = none
    std::int64_t rankedTokens = 0;
    std::int64_t guardedTokens = 0;
    std::int64_t realisedTokens = 0;
};

struct Explanation {
    std::int64_t requestedTokens = 0; ///< the budget, rounded down
    std::map<int, std::vector<SetExplanation>> layers; ///< [layer][set]
    std::vector<std::string> notes; ///< remarks of the method on its result
};

/// Ranks of scores among each other: 1 + how many are larger; 0 for NaN.
std::vector<std::int32_t> ranksOf(std::span<const float> scores);

/// Explains what scored.choose(budget) gives. `unpooled` is the same sample scored by Method::withoutPooling(), if
/// there is one.
Explanation explain(const ScoredSample& scored, const Budget& budget, const ScoredSample* unpooled = nullptr);

} // namespace kvloupe
