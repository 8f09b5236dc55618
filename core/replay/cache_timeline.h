// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/methods/method.h"

#include <cstdint>
#include <map>
#include <span>
#include <vector>

namespace kvloupe {

/// Attention rows of generated queries of one layer, from wherever they come: a recording, a table in a test.
class DecodeRowSource {
public:
    virtual ~DecodeRowSource() = default;
    virtual int queryHeads() const = 0;
    /// Attention of query head `head` for the generated token `step` (0 = first), over positions [0, promptTokens +
    /// step], full attention. Valid until the next call. Steps are asked for in ascending order, all heads of a step
    /// together.
    virtual std::span<const float> row(int head, std::int64_t step) = 0;
};

/// The life of every token of one set: position p enters with the prompt (p < promptTokens) or in step
/// p - promptTokens + 1, and leaves in step `evictedAt[p]`: 0 = cut after the prefill, n = after the n-th generated
/// token, -1 = never.
struct HeadTimeline {
    std::vector<std::int32_t> evictedAt; ///< [promptTokens + steps]
};

/// When each token left the cache, for every layer and set of one method at one budget.
struct CacheTimeline {
    Granularity granularity = Granularity::KvHead;
    Fidelity fidelity = Fidelity::Exact;
    std::int64_t promptTokens = 0;
    std::int64_t steps = 0; ///< generated tokens that were run
    std::map<int, std::vector<HeadTimeline>> layers; ///< [layer][set]

    /// Positions in the cache after `step` generated tokens (0 = right after the prefill), all layers.
    std::map<int, KeepSet> aliveAfter(std::int64_t step) const;
};

/// Runs the decode policy of `method` on one layer from the kept prompt positions `kept` on. Recorded rows are those of
/// full attention; a row over the alive tokens is the recorded one divided by the mass it retains (docs/methods.md,
/// replay fidelity). `rows` may be null if the policy needs no attention. `scores` are the prefill's, `capacity` the
/// budget in tokens.
std::vector<HeadTimeline> decodeTimeline(const Method& method, const KeepSet& kept, const Scores& scores, int layer,
    int numLayers, std::int64_t promptTokens, std::int64_t steps, std::int64_t capacity, DecodeRowSource* rows);

} // namespace kvloupe
