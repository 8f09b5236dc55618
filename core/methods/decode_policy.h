// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace kvloupe {

/// One decoding step of one head as a policy sees it. n = alive tokens, the newest (the query itself) last.
struct DecodeStep {
    int layer = 0;
    int head = 0; ///< KV head, or query head for policies of that granularity
    std::int64_t position = 0; ///< true position of the query
    std::span<const std::int32_t> alive; ///< [n] positions in the cache, ascending
    std::span<const float> attention; ///< [n] softmax over `alive`, brought to this head (mean over its group)
};

/// What a step leaves. `evicted` is gone for good; `hidden` stays in the cache but the next query does not see it (H2O's mask,
/// Quest's pages). Both ascending, subsets of the step's `alive`.
struct DecodeVerdict {
    std::vector<std::int32_t> evicted;
    std::vector<std::int32_t> hidden;
};

/// Acts while decoding. A value per head: cloned for every branch, so that many (method, budget) branches of one prefill
/// can go on independently.
class DecodePolicy {
public:
    virtual ~DecodePolicy() = default;
    virtual std::unique_ptr<DecodePolicy> clone() const = 0;
    /// Called once per generated token, after its attention.
    virtual DecodeVerdict step(const DecodeStep& step) = 0;
};

} // namespace kvloupe
