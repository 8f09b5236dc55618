// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/cache/layer_cache.h"
#include "capture/checkpoint/model_config.h"
#include "capture/model/forward_pass.h"
#include "capture/model/prompt_observer.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

namespace kvloupe {

/// One list of one branch in a step, when all tokens are in the caches.
struct ListAttention {
    LayerCache* cache = nullptr;
    int list = 0;
    float* context = nullptr; ///< [query heads of the list, headDim], to be filled
    StepScratch* scratch = nullptr; ///< has the queries; takes the attention if the policies of the cache look at it
};

/// A model and the compressed caches of its branches, where it computes: what methods choose, what policies decide and
/// which token lies where is host code above it, the same for all.
///
/// Errors: ModelError, Cancelled, and what a device lacks. Calls are const: several may run at once.
class LiveModel {
public:
    virtual ~LiveModel() = default;

    virtual const ModelConfig& config() const = 0;
    /// body(task) for [0, tasks) on the threads of this model.
    virtual void runTasks(std::int64_t tasks, const std::function<void(std::int64_t task)>& body) const = 0;
    /// 1-norms of W_o,h v, see Transformer::outputValueNorms.
    virtual std::vector<float> outputValueNorms(
        int layer, std::span<const float> values, std::int64_t tokens) const = 0;

    struct Prefill {
        std::vector<float> logits; ///< [vocab], after the last token
        std::shared_ptr<const PromptCache> cache; ///< of every layer the tokens that entered it
    };
    virtual Prefill prefill(std::span<const std::int32_t> ids, PromptObserver& observer,
        const std::function<bool(double)>& progress = {}) const = 0;

    /// One row for each of several texts through all layers; `attention` is given queries, keys and values in host
    /// memory. Logits [rows, vocab].
    virtual std::vector<float> run(const PassRows& rows, PassAttention& attention) const = 0;
    /// Called by that `attention`: lists of one layer, all cut from a PromptCache of this model.
    virtual void attend(std::span<const ListAttention> lists, PassWorkspace& workspace) const = 0;
};

} // namespace kvloupe
