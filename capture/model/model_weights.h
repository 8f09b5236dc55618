// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/checkpoint/model_config.h"
#include "capture/model/linear.h"

#include <functional>
#include <memory>
#include <span>
#include <vector>

namespace kvloupe {

class Adapter;
class Checkpoint;
class TaskRunner;

/// Weights of one decoder layer, float32. Gains of norms that the architecture lacks are empty.
struct LayerWeights {
    std::vector<float> attentionNorm; ///< [hidden]
    Linear qkv; ///< [(heads + 2 kv_heads) * head_dim, hidden]: query heads, key heads, value heads
    std::vector<float> queryNorm; ///< [head_dim]
    std::vector<float> keyNorm; ///< [head_dim]
    Linear output; ///< [hidden, heads * head_dim]
    std::vector<float> attentionOutputNorm; ///< [hidden]
    std::vector<float> mlpNorm; ///< [hidden]
    Linear gate; ///< [intermediate, hidden]
    Linear up; ///< [intermediate, hidden]
    Linear down; ///< [hidden, intermediate]
    std::vector<float> mlpOutputNorm; ///< [hidden]
};

/// Where weights are while a model runs: all in memory in float32 (4 bytes per parameter), or in the checkpoint's
/// files, from which every piece of a matrix is dequantised when a product needs it.
enum class WeightPlacement { Resident, Streamed };

/// All weights of a model; tied embeddings exist once. Streamed ones read the checkpoint, which outlives them.
struct ModelWeights {
    Linear embedding; ///< [vocab, hidden]
    std::vector<LayerWeights> layers;
    std::vector<float> finalNorm; ///< [hidden]
    Linear head; ///< [vocab, hidden]; empty with tied embeddings

    const Linear& logits() const { return head.outputs() > 0 ? head : embedding; }
    /// Advice that a layer, or after the last one the output projection, comes next.
    void prefetch(int layer) const;
};

/// Dequantises every tensor that is to be resident, in parallel, and adds what `adapter` (may be null; it fits the
/// model) changes; the caller is inside TaskRunner::enter(). Errors: CheckpointError; Cancelled.
ModelWeights loadWeights(const Checkpoint& checkpoint, std::shared_ptr<const Adapter> adapter,
    WeightPlacement placement, TaskRunner& runner, const std::function<bool(double)>& progress);

} // namespace kvloupe
