// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/checkpoint/model_config.h"
#include "capture/model/attention_observer.h"
#include "capture/model/kv_cache.h"
#include "capture/model/linear.h"
#include "capture/model/pass_attention.h"

namespace kvloupe {

/// Rows of one text that follow what a cache holds: each sees the tokens before it and itself, and the cache takes up
/// all of them. Computed by blocks of query rows, each of which an observer may see.
class CausalAttention final : public PassAttention {
public:
    /// All outlive this object; `observer` may be null. `blockRows`: query rows per block.
    CausalAttention(
        const ModelConfig& config, KvCache& cache, std::int64_t blockRows, AttentionObserver* observer = nullptr);

    std::int64_t scratchFloats(std::int64_t rows) const override;
    double work(std::int64_t rows) const override;
    bool wantsQueriesBeforeRope(int layer) const override;
    void attend(const LayerRows& rows, PassWorkspace& workspace) override;

private:
    void attendBlock(const LayerRows& rows, std::int64_t head, std::int64_t queryBegin, std::int64_t queryEnd,
        std::span<float> scratch);

    const ModelConfig& m_config;
    KvCache& m_cache;
    std::int64_t m_blockRows;
    AttentionObserver* m_observer;
    std::int64_t m_past; // tokens in the cache before
};

} // namespace kvloupe
