// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/metrics/token_regions.h"

#include <cstdint>
#include <span>
#include <vector>

namespace kvloupe {

/// Kept tokens of some tokens.
struct KeptShare {
    std::int64_t tokens = 0;
    std::int64_t kept = 0;

    /// In [0, 1]; NaN of no tokens.
    double fraction() const;
    bool operator==(const KeptShare&) const = default;
};

// Everywhere below, `kept` are positions, ascending, and `cache` is what the layer held when the cut was made: the
// prompt, in layers with a sliding window its end. Tokens outside the cache are not counted.

/// One entry per region.
std::vector<KeptShare> keptByRegion(std::span<const std::int32_t> kept, TokenRange cache, const TokenRegions& regions);

/// Where in the prompt a method evicts: the cache cut into `bins` parts of equal length, bin b = the tokens from
/// floor(b * n / bins) on.
std::vector<KeptShare> keptByPosition(std::span<const std::int32_t> kept, TokenRange cache, int bins = 10);

/// One entry per few-shot example.
std::vector<KeptShare> keptByShot(
    std::span<const std::int32_t> kept, TokenRange cache, std::span<const TokenRange> shots);

/// What became of few-shot examples. A broken one is kept in part: its question without its answer, or half a sentence.
struct ShotCounts {
    std::int64_t whole = 0;
    std::int64_t broken = 0; ///< 0 < kept share < 1
    std::int64_t dropped = 0;

    std::int64_t all() const { return whole + broken + dropped; }
    bool operator==(const ShotCounts&) const = default;
};
ShotCounts shotCounts(std::span<const std::int32_t> kept, TokenRange cache, std::span<const TokenRange> shots);

} // namespace kvloupe
