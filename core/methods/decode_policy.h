// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/methods/budget.h"
#include "core/methods/keep_set.h"
#include "core/methods/ranking.h"
#include "core/methods/scorer.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace kvloupe {

/// What a decode policy reads of every step; what it does not ask for is left empty.
struct DecodeNeeds {
    bool attention = false; ///< softmax over the visible tokens
    bool queries = false; ///< post-RoPE query of the step
    bool keys = false; ///< post-RoPE keys of the cache
    std::int64_t promptQueries = 0; ///< post-RoPE queries of the last n prompt tokens, at begin()

    bool any() const { return attention || queries || keys || promptQueries > 0; }
};

/// Keys of one head's cache: row i belongs to alive[i], wherever it lies.
struct KeyRows {
    const float* data = nullptr;
    int headDim = 0;
    std::span<const std::int32_t> rowNumbers; ///< row of `data` for each i; empty = i itself

    bool empty() const { return data == nullptr; }
    std::span<const float> row(std::size_t i) const
    {
        const std::size_t number = rowNumbers.empty() ? i : static_cast<std::size_t>(rowNumbers[i]);
        return {data + number * static_cast<std::size_t>(headDim), static_cast<std::size_t>(headDim)};
    }
};

/// The cache of one head as the prefill left it: what the state of a policy starts from.
struct DecodeStart {
    int layer = 0;
    int numLayers = 1;
    int head = 0; ///< index of the set: KV head, query head, or 0 for a layer-level policy
    int queryHeads = 1; ///< query heads that read this set
    int headDim = 0;
    double softmaxScale = 0.0;
    std::int64_t promptTokens = 0;
    std::span<const std::int32_t> alive; ///< kept prompt positions, ascending
    KeyRows keys; ///< of `alive`, if asked for
    std::span<const float> lastQueries; ///< [queryHeads, lastQueryCount, headDim], the newest last
    std::int64_t lastQueryCount = 0; ///< min(needs().promptQueries, promptTokens)
    std::int64_t capacity = 0; ///< the budget in tokens, fixed at the prompt and held while decoding
    std::span<const float> scores; ///< [promptTokens] of this set at the prefill (H2O carries them on); may be empty
    const Budget* budget = nullptr; ///< of the prompt as it was asked for, for methods that keep all of it (Quest)
    const Budget* decodeBudget = nullptr; ///< share of generated tokens to keep (ShotKV's r_d); null = as the prompt
};

/// One decoding step of one head as a policy sees it. n = tokens in the cache, the newest (the query itself) last.
struct DecodeStep {
    std::int64_t position = 0; ///< true position of the query
    std::span<const std::int32_t> alive; ///< [n] positions in the cache, ascending
    /// [n] attention of the query over the visible tokens (0 for hidden ones), brought to this set by groupReduction().
    std::span<const float> attention;
    std::span<const float> query; ///< [queryHeads, headDim]
    KeyRows keys; ///< of `alive`
};

/// What a step leaves. `evicted` is gone for good; `hidden` stays in the cache but the next query does not see it
/// (H2O's mask). Both ascending, subsets of the step's `alive`. The rest says why, for steps at which tokens were
/// ranked; else empty.
struct DecodeVerdict {
    std::vector<std::int32_t> evicted;
    std::vector<std::int32_t> hidden;
    std::vector<float> scores; ///< [n] what `alive` was ranked by, NaN = not ranked
    std::vector<Guard> guards; ///< [n]
};

/// Tokens that the sets of a layer may hold while decoding (DecodeStart::capacity): what the prompt's budget came to in
/// its largest set, `realised`, whatever rounding the method used for it; with a budget in tokens that many, also after
/// a shorter prompt.
std::int64_t heldCapacity(std::int64_t realised, const Budget& budget);

/// Positions of `alive` whose indices are not among `keptIndices` (ascending).
std::vector<std::int32_t> evictedPositions(
    std::span<const std::int32_t> alive, std::span<const std::int32_t> keptIndices);

/// Leaves `count` of `alive`: the `recent` newest, then the best of the rest by (score descending, index ascending).
DecodeVerdict cutToBest(
    std::span<const std::int32_t> alive, std::span<const float> scores, std::int64_t count, std::int64_t recent);

/// Acts while decoding. A value per set: cloned for every branch, so that many (method, budget) branches of one prefill
/// can go on independently.
class DecodePolicy {
public:
    virtual ~DecodePolicy() = default;
    virtual std::unique_ptr<DecodePolicy> clone() const = 0;

    /// At which level one state decides: Layer gets attention reduced over all query heads, KvHead over its group.
    virtual Granularity granularity() const = 0;
    virtual GroupReduction groupReduction() const { return GroupReduction::Mean; }
    virtual DecodeNeeds needs() const = 0;

    /// Once, after the prompt was cut. Returns positions of start.alive that the first query does not see.
    virtual std::vector<std::int32_t> begin(const DecodeStart& start) = 0;
    /// Before the attention of a step: tokens that this very query does not see (Quest's pages). `step.attention` is
    /// empty.
    virtual std::vector<std::int32_t> hideBefore(const DecodeStep& /*step*/) { return {}; }
    /// Once per generated token, after its attention.
    virtual DecodeVerdict step(const DecodeStep& step) = 0;
};

} // namespace kvloupe
