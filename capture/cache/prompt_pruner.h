// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/checkpoint/model_config.h"
#include "capture/model/prompt_observer.h"
#include "core/methods/layer_pruner.h"

#include <cstdint>
#include <map>
#include <mutex>
#include <span>
#include <vector>

namespace kvloupe {

/// Lets tokens of a prompt leave on the way through the layers: after each layer the newest queries vote, and the
/// prefill goes on with those that a LayerPruner leaves.
class PromptPruner final : public PromptObserver {
public:
    /// All outlive this object.
    PromptPruner(const ModelConfig& config, const LayerPruner& pruner, const Budget& budget, std::int64_t promptTokens);

    std::int64_t firstRowWanted(std::int64_t entering) const override;
    void beginLayer(const LayerVectors& vectors) override;
    void block(int layer, int head, std::int64_t queryBegin, std::int64_t rows, std::span<const float> probabilities,
        std::int64_t stride, std::span<const RowStatistics> statistics) override;
    std::vector<std::int64_t> survivors(int layer) override;

private:
    std::vector<float> votes() const;

    const ModelConfig& m_config;
    const LayerPruner& m_pruner;
    const Budget& m_budget;
    std::int64_t m_promptTokens;
    std::vector<std::int32_t> m_entering; // positions
    std::mutex m_mutex;
    std::map<std::pair<std::int64_t, int>, std::vector<double>> m_sums; // of a block's voting rows, by (row, head)
};

} // namespace kvloupe
