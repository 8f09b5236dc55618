// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/checkpoint/model_config.h"
#include "capture/model/attention_observer.h"
#include "capture/model/causal_attention.h"
#include "capture/model/pass_attention.h"
#include "core/methods/layer_pruner.h"

#include <cstdint>
#include <map>
#include <mutex>
#include <span>
#include <vector>

namespace kvloupe {

/// Causal attention of a whole prompt whose tokens leave on the way through the layers: after each layer the newest
/// queries vote, and the pass goes on with those that a LayerPruner leaves. The cache of a layer holds the tokens that
/// entered it, with their positions.
class PrunedAttention final : public PassAttention, private AttentionObserver {
public:
    /// All outlive this object; `cache` is empty.
    PrunedAttention(const ModelConfig& config, KvCache& cache, const LayerPruner& pruner, const Budget& budget,
        std::int64_t promptTokens);

    std::int64_t scratchFloats(std::int64_t rows) const override { return m_causal.scratchFloats(rows); }
    double work(std::int64_t rows) const override { return m_causal.work(rows); }
    void attend(const LayerRows& rows, PassWorkspace& workspace) override;
    std::vector<std::int64_t> survivors(int layer) override;

private:
    void block(int layer, int head, std::int64_t queryBegin, std::int64_t rows, std::span<const float> probabilities,
        std::int64_t stride, std::span<const RowStatistics> statistics) override;
    std::vector<float> votes() const;

    const ModelConfig& m_config;
    const LayerPruner& m_pruner;
    const Budget& m_budget;
    std::int64_t m_promptTokens;
    CausalAttention m_causal;
    std::vector<std::int32_t> m_entering; // positions
    std::mutex m_mutex;
    std::map<std::pair<std::int64_t, int>, std::vector<double>> m_sums; // of a block's voting rows, by (row, head)
};

} // namespace kvloupe
