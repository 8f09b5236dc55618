// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/checkpoint/model_config.h"
#include "capture/model/attention_observer.h"
#include "capture/model/kv_cache.h"

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

namespace kvloupe {

class Adapter;
class Checkpoint;
class PassAttention;
struct ModelWeights;
struct PassRows;
enum class WeightPlacement;

struct LoadOptions {
    int threads = 0; ///< of loading and of every forward pass; 0 = one per core
    std::function<bool(double)> progress = {}; ///< fraction done; false cancels
    /// Merged into the weights in float32; null for none. AdapterError if it is one for another model.
    std::shared_ptr<const Adapter> adapter = {};
    WeightPlacement placement = {}; ///< resident unless said otherwise
};

struct PrefillOptions {
    bool positionLogits = true; ///< nll and the five likeliest tokens at every position, not only the last logits
    std::int64_t blockRows = 256; ///< query rows per block of attention
    std::function<bool(double)> progress = {}; ///< fraction done, from any thread but one at a time; false cancels
};

struct PrefillResult {
    std::vector<float> lastLogits; ///< [vocab], after the last token
    /// [n], nats: of each token given those before it; NaN for the first token of an empty cache. Empty without
    /// positionLogits, as are the two below.
    std::vector<float> nll;
    std::vector<std::int32_t>
        topIds; ///< [n, 5], likeliest tokens after each token, ties to the smaller id; -1 past a tiny vocabulary
    std::vector<float> topLogprobs; ///< [n, 5]
};

struct DecodeResult {
    std::vector<float> logits; ///< [vocab], after the token
    float nll = 0; ///< of the token given those before it; NaN for the first of an empty cache
    std::array<std::int32_t, 5> topIds{}; ///< likeliest tokens after it
    std::array<float, 5> topLogprobs{};
};

/// A decoder-only transformer on the CPU in float32: RMSNorm, rotary positions, grouped-query attention, a gated MLP,
/// and what ModelConfig adds to them.
///
/// Attention is computed by blocks of query rows, memory is O(block x n) with or without an observer. Results are the
/// same bits for any number of threads; another block size or another split of a prompt into prefills changes the
/// last digits. Calls are const: several passes may run at once, each with a cache of its own.
///
/// Errors: ModelError (empty prompt, prompt longer than the context, token id outside the vocabulary, infinities, a
/// text that grows to where LongRoPE changes its frequencies), Cancelled; CheckpointError where weights are streamed.
/// After an error the cache is what it was before the call.
class Transformer {
public:
    /// Reads all weights (4 bytes per parameter), after which the checkpoint is not needed; or, streamed, the norms and
    /// biases alone, and the checkpoint outlives the transformer.
    static std::unique_ptr<Transformer> load(const Checkpoint& checkpoint, const LoadOptions& options = {});
    ~Transformer();

    const ModelConfig& config() const;
    const ModelWeights& weights() const; ///< with what an adapter added, where they are resident

    KvCache makeCache(std::int64_t capacityHint) const;

    /// Runs `ids` after what `cache` holds and adds them to it.
    PrefillResult prefill(std::span<const std::int32_t> ids, KvCache& cache, const PrefillOptions& options = {},
        AttentionObserver* observer = nullptr) const;

    /// One more token.
    DecodeResult decode(std::int32_t id, KvCache& cache, AttentionObserver* observer = nullptr) const;

    /// Which rows of a pass logits are wanted of.
    enum class LogitRows { All, Last };

    /// Rows that need not belong to one text; `attention` says what each of them sees. Logits [rows, vocab] of those
    /// that went through all layers, or [vocab] of the last of them.
    std::vector<float> run(const PassRows& rows, PassAttention& attention, LogitRows wanted,
        const std::function<bool(double)>& progress = {}) const;

    /// Throws ModelError unless what was computed for a text of so many tokens holds when it has grown.
    void requireSameRope(std::int64_t tokensBefore, std::int64_t tokensAfter) const;

    /// body(task) for [0, tasks) on the threads of this model.
    void runTasks(std::int64_t tasks, const std::function<void(std::int64_t task)>& body) const;

    /// 1-norm of W_o,h v for every head h (what CriticalKV weighs keys by): `values` [kv_heads, tokens, head_dim] of
    /// one layer gives [heads, tokens]. Costs as much as the layer's output projection.
    std::vector<float> outputValueNorms(int layer, std::span<const float> values, std::int64_t tokens) const;

    /// The likeliest token (ties to the smaller id) again and again, beginning from the logits after the cache's last
    /// token, until one of `eosIds` (included) or `maxTokens`. The cache takes up all returned tokens but the last.
    /// `onToken` sees each token as it is chosen; false ends the generation after it.
    std::vector<std::int32_t> generateGreedy(KvCache& cache, std::span<const float> firstLogits, std::int64_t maxTokens,
        std::span<const std::int32_t> eosIds, const std::function<bool(std::int32_t)>& onToken = {}) const;

private:
    struct State;
    explicit Transformer(std::unique_ptr<State> state);

    std::unique_ptr<State> m_state;
};

} // namespace kvloupe
