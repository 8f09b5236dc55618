// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/methods/method.h"
#include "core/prompt/prompt_layout.h"

#include <cstdint>
#include <map>
#include <span>
#include <vector>

namespace kvloupe {

/// What a layer attended to while it generated, from wherever it comes: a recording, a table in a test. Spans are valid
/// until the next call.
class DecodeRowSource {
public:
    virtual ~DecodeRowSource() = default;
    virtual int queryHeads() const = 0;
    /// Attention of query head `head` for the generated token `step` (0 = first), over positions [0, promptTokens +
    /// step], full attention. Steps are asked for in ascending order, all heads of a step together.
    virtual std::span<const float> row(int head, std::int64_t step) = 0;

    /// The vectors below are asked for by policies that name them in their needs; without an own answer: MethodError.
    virtual int kvHeads() const;
    virtual int headDim() const;
    /// Post-RoPE query of a generated token, [headDim].
    virtual std::span<const float> query(int head, std::int64_t step);
    /// Post-RoPE queries of the last `count` prompt tokens, [count, headDim].
    virtual std::span<const float> promptQueries(int head, std::int64_t count);
    /// Post-RoPE keys of a KV head by position, [promptTokens + steps, headDim].
    virtual std::span<const float> keys(int kvHead);
};

/// The life of every token of one set: position p enters with the prompt (p < promptTokens) or in step
/// p - promptTokens + 1, and leaves in step `evictedAt[p]`: 0 = cut after the prefill, n = after the n-th generated
/// token, -1 = never. The other arrays say why: as of the step at which it left, or was last looked at.
struct HeadTimeline {
    std::vector<std::int32_t> evictedAt; ///< [promptTokens + steps]
    std::vector<float> scores; ///< [promptTokens + steps] what it was ranked by, NaN = never ranked
    std::vector<std::int32_t> ranks; ///< [promptTokens + steps] 1 = best, equal scores share a rank, 0 = never ranked
    std::vector<Guard> guards; ///< [promptTokens + steps] what kept it before anything was ranked
    /// What the query of each step saw, as ranges of positions: [steps]; empty if the method hides nothing.
    std::vector<std::vector<TokenRange>> visible;
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

/// One layer on its way through the generated tokens.
struct DecodeRun {
    const Method& method;
    const KeepSet& kept; ///< prompt positions after the prefill
    const Scores& scores; ///< of the prefill
    int layer = 0;
    int numLayers = 1;
    std::int64_t promptTokens = 0;
    std::int64_t steps = 0;
    std::int64_t capacity = 0; ///< budget in tokens
    double softmaxScale = 0.0;
    const Budget* budget = nullptr; ///< of the prompt, as it was asked for
    const Budget* decodeBudget = nullptr; ///< share of generated tokens to keep
};

/// Runs the decode policy of a method on one layer from the kept prompt positions on. Recorded rows are those of full
/// attention; a row over the visible tokens is the recorded one divided by the mass it retains (docs/methods.md,
/// "When"). `rows` may be null if the policy reads nothing.
std::vector<HeadTimeline> decodeTimeline(const DecodeRun& run, DecodeRowSource* rows);

} // namespace kvloupe
