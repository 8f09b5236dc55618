// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/model/prompt_observer.h"
#include "core/methods/method.h"
#include "core/prompt/prompt_layout.h"
#include "core/replay/replay.h"

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace kvloupe {

class LiveModel;

/// Scores several methods while a prompt is prefilled: evidence of one layer is gathered from the blocks of its
/// attention, handed to every method, and dropped. On the CPU, what a method decides by is bit for bit what a replay of
/// a recording of the same prompt gives it, so it chooses the same tokens.
///
/// On the CPU blocks have PrefillOptions' default size. Memory: evidence of one layer, scores of all.
class LiveScorer final : public PromptObserver {
public:
    /// All outlive this object. Methods that prune on the way (LayerPruner) are passed over.
    LiveScorer(const LiveModel& model, const PromptLayout& layout, std::span<const Method> methods);
    ~LiveScorer() override;

    bool wantsQueriesBeforeRope(int layer) const override;
    std::int64_t firstRowWanted(std::int64_t entering) const override;
    bool wantsColumnSums() const override;
    void columnSums(int layer, std::span<const float> sums) override;
    void beginLayer(const LayerVectors& vectors) override;
    void block(int layer, int head, std::int64_t queryBegin, std::int64_t rows, std::span<const float> probabilities,
        std::int64_t stride, std::span<const RowStatistics> statistics) override;
    void endLayer(int layer) override;

    /// After the prefill: one entry per method, null for those passed over.
    std::vector<std::shared_ptr<const ScoredSample>> scored() const;

    /// Queries of the last prompt tokens after RoPE, as many as any decode policy asks for: per layer
    /// [queryHeads, lastQueryCount, headDim].
    std::int64_t lastQueryCount() const;
    std::vector<std::vector<float>> takeLastQueries();

private:
    struct State;
    std::unique_ptr<State> m_state;
};

} // namespace kvloupe
