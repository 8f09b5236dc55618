// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/cache/prompt_cache.h"
#include "capture/cache/slot_map.h"
#include "core/attention/attention_rows.h"
#include "core/methods/decode_policy.h"
#include "core/methods/keep_set.h"
#include "core/methods/method.h"

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace kvloupe {

struct ModelConfig;

/// What a layer does with positions.
struct LayerPositions {
    std::int64_t window = 0; ///< tokens that a query sees, itself included; 0 = all before it
    std::vector<float> frequencies; ///< of RoPE, radians per position, [headDim / 2]
};

/// What the layers of a compressed cache have in common, and in what they differ.
struct CacheShape {
    int numLayers = 1;
    int queryHeads = 1;
    int kvHeads = 1;
    int headDim = 0;
    double softmaxScale = 0.0;
    std::shared_ptr<const std::vector<LayerPositions>> layers; ///< [numLayers]
};

/// Of a model after a prompt of so many tokens.
CacheShape cacheShape(const ModelConfig& config, std::int64_t promptTokens);

/// Memory of one step of one branch, used again for every layer.
struct StepScratch {
    AlignedFloats queries; ///< (query heads, head_dim)
    std::vector<AlignedFloats> attention; ///< per list: (query heads of the list, slots), or more

    std::span<float> attentionOf(int list, std::int64_t floats); ///< with room for so many
};

/// The compressed cache of one layer: lists of tokens, one per KV head or per query head, and the decode policies that
/// act on them.
///
/// A list serves query heads [list * heads / lists, (list + 1) * heads / lists). A state is what one policy decides on:
/// one list, or all lists of a layer-level method, which hold the same tokens then. The calls of a step are append() of
/// every state, LiveModel::attend() of the lists, decide() of every state; those of different states may run at once.
class LayerCache {
public:
    /// Where the method starts from, beside the kept tokens.
    struct Cut {
        const Method& method;
        const KeepSet& kept; ///< positions, all of them in the cache
        std::int64_t promptTokens = 0;
    };

    /// Copies the kept tokens of `layer` out of `prefill`. Throws MethodError if a layer-level policy meets lists that
    /// differ, or reads keys.
    LayerCache(const CacheShape& shape, int layer, const PromptCache& prefill, const Cut& cut);
    LayerCache(const LayerCache& other); ///< policies are cloned
    LayerCache& operator=(const LayerCache& other);
    LayerCache(LayerCache&&) noexcept = default;
    LayerCache& operator=(LayerCache&&) noexcept = default;
    ~LayerCache() = default;

    int lists() const { return static_cast<int>(m_lists.size()); }
    int states() const { return static_cast<int>(m_states.size()); }
    std::int64_t tokens(int list) const { return state(list).map.size(); }
    std::span<const std::int32_t> alive(int list) const { return state(list).map.alive(); }
    /// Cached tokens that the last query did not see, ascending.
    std::span<const std::int32_t> unseen(int list) const { return state(list).unseen; }
    std::span<const std::int32_t> slots(int list) const { return state(list).map.slots(); } ///< of alive(list)
    const CacheShape& shape() const { return m_shape; }
    int headsPerList() const { return m_shape.queryHeads / lists(); }
    const TokenStore& store(int list) const { return *m_lists[static_cast<std::size_t>(list)]; }
    TokenStore& store(int list) { return *m_lists[static_cast<std::size_t>(list)]; }
    /// Slots of the store that the query of this step must not see: idle ones and those of unseen tokens.
    std::vector<std::int32_t> maskedSlots(int list) const;
    /// Whether decide() looks at what StepScratch::attention holds.
    bool needsAttention() const { return m_needs.attention; }
    std::int64_t bytes() const;

    /// Gives the policies their start. `scores`: of the prefill, [states, promptTokens] or empty; `lastQueries`:
    /// [queryHeads, lastQueryCount, headDim].
    struct Start {
        std::span<const float> scores;
        std::span<const float> lastQueries;
        std::int64_t lastQueryCount = 0;
        const Budget* budget = nullptr;
        const Budget* decodeBudget = nullptr;
    };
    void begin(const Start& start);

    /// The row of a branch in a pass. Vectors of different heads are `headStride` floats apart.
    struct Row {
        const float* queries = nullptr; ///< turned by rotaryPosition
        const float* keys = nullptr;
        const float* values = nullptr;
        std::int64_t headStride = 0;
        std::int64_t position = 0;
        std::int64_t rotaryPosition = 0;
    };
    /// With policies: also asks what the query must not see.
    void append(int state, const Row& row, bool policies, StepScratch& scratch);
    void decide(int state, std::int64_t position, StepScratch& scratch);

    /// Forgets tokens of one state; positions that are not there are passed over.
    void evict(int state, std::span<const std::int32_t> positions);

private:
    struct State {
        SlotMap map;
        std::vector<std::int32_t> hidden; ///< not seen by the next query, ascending
        std::vector<std::int32_t> unseen; ///< hidden and what this step hides beside
        std::unique_ptr<DecodePolicy> policy;
    };

    const LayerPositions& layerPositions() const { return (*m_shape.layers)[static_cast<std::size_t>(m_layer)]; }
    const State& state(int list) const { return m_states[m_states.size() == 1 ? 0 : static_cast<std::size_t>(list)]; }
    int listsPerState() const { return lists() / states(); }
    int headsPerState() const { return m_shape.queryHeads / states(); }
    std::span<const float> queriesOf(int state, const StepScratch& scratch) const;
    KeyRows keyRows(int state) const;
    std::vector<float> policyAttention(int state, const StepScratch& scratch) const;
    std::vector<std::int32_t> outsideWindow(int state, std::int64_t place) const;
    void closeRanks(int state, std::span<const std::int32_t> shifts);

    CacheShape m_shape;
    int m_layer;
    std::int64_t m_promptTokens;
    PositionMode m_positions;
    DecodeNeeds m_needs;
    std::vector<std::unique_ptr<TokenStore>> m_lists;
    std::vector<State> m_states;
};

} // namespace kvloupe
