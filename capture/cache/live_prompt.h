// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/cache/branch.h"
#include "capture/cache/live_model.h"
#include "core/methods/method.h"
#include "core/prompt/prompt_layout.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace kvloupe {

class ScoredSample;

/// A prompt that is prefilled once and scored by several methods on the way; branches of any budget are cut from it.
///
/// Memory: the full cache and the scores of all methods and layers. Errors: ModelError, MethodError, Cancelled.
class LivePrompt {
public:
    /// `layout` says where the parts of the prompt lie and is of ids.size() tokens.
    LivePrompt(std::shared_ptr<const LiveModel> model, std::span<const std::int32_t> ids, PromptLayout layout,
        std::vector<Method> methods, const std::function<bool(double)>& progress = {});

    std::span<const Method> methods() const { return m_methods; }
    const PromptLayout& layout() const { return m_layout; }
    const PromptCache& cache() const { return *m_cache; } ///< of the full prefill
    std::span<const float> logits() const { return m_state->logits; } ///< [vocab], after the prompt, full cache
    /// What choices are made from; null for a method with a LayerPruner.
    const ScoredSample* scored(std::size_t method) const { return m_scored.at(method).get(); }

    /// A cache of methods()[method] at `budget`. A method that prunes between layers runs its own prefill for it; the
    /// first token comes from that then.
    Branch branch(
        std::size_t method, const Budget& budget, const std::optional<Budget>& decodeBudget = std::nullopt) const;

private:
    Branch prunedBranch(const Method& method, const Budget& budget, const std::optional<Budget>& decodeBudget) const;

    std::shared_ptr<const LiveModel> m_model;
    std::vector<std::int32_t> m_ids;
    PromptLayout m_layout;
    std::vector<Method> m_methods;
    std::shared_ptr<const PromptCache> m_cache;
    std::shared_ptr<const PromptState> m_state;
    std::vector<std::shared_ptr<const ScoredSample>> m_scored;
};

} // namespace kvloupe
