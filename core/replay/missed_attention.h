// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/replay/cache_timeline.h"

#include <cstdint>
#include <vector>

namespace kvloupe {

/// What the queries of generated tokens, under full attention, looked at that was no longer in the cache of one set.
/// Query n (1 = first generated token) misses what left the cache after n - 1 generated tokens or before, and what was
/// hidden from it.
struct MissedAttention {
    /// [promptTokens + steps] The query after the token's death that looked at it most, the first of equals; 0 = the
    /// token never died, or no query came after.
    std::vector<std::int32_t> wantedAt;
    std::vector<float> wantedMass; ///< [promptTokens + steps] how much it looked at it, [0, 1]
    std::vector<float> lostMass; ///< [steps] attention of query n + 1 on everything it missed, [0, 1]
};

/// Of one query head that reads the set of `timeline`. `rows` are asked for every step once; O(steps x T) time, O(T)
/// memory.
MissedAttention missedAttention(
    const HeadTimeline& timeline, std::int64_t promptTokens, std::int64_t steps, int head, DecodeRowSource& rows);

} // namespace kvloupe
