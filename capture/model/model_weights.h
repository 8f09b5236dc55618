// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/checkpoint/model_config.h"
#include "capture/model/linear.h"

#include <functional>
#include <span>
#include <vector>

namespace kvloupe {

class Adapter;
class Checkpoint;
class TaskRunner;

/// Weights of one decoder layer, float32.
struct LayerWeights {
    std::vector<float> attentionNorm; ///< [hidden]
    Linear qkv; ///< [(heads + 2 kv_heads) * head_dim, hidden]: query heads, key heads, value heads
    Linear output; ///< [hidden, heads * head_dim]
    std::vector<float> mlpNorm; ///< [hidden]
    Linear gate; ///< [intermediate, hidden]
    Linear up; ///< [intermediate, hidden]
    Linear down; ///< [hidden, intermediate]
};

/// All weights of a model, float32 whatever the checkpoint stores. 4 bytes per parameter; tied embeddings exist once.
struct ModelWeights {
    Linear embedding; ///< [vocab, hidden]
    std::vector<LayerWeights> layers;
    std::vector<float> finalNorm; ///< [hidden]
    Linear head; ///< [vocab, hidden]; empty with tied embeddings

    const Linear& logits() const { return head.outputs() > 0 ? head : embedding; }
};

/// Dequantises every tensor, in parallel, and adds what `adapter` (may be null; it fits the model) changes; the caller
/// is inside TaskRunner::enter(). Errors: CheckpointError; Cancelled.
ModelWeights loadWeights(const Checkpoint& checkpoint, const Adapter* adapter, TaskRunner& runner,
    const std::function<bool(double)>& progress);

} // namespace kvloupe
