// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/cache/live_prompt.h"

#include "capture/cache/live_scorer.h"
#include "capture/cache/prompt_pruner.h"
#include "capture/model/model_error.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace kvloupe {

LivePrompt::LivePrompt(std::shared_ptr<const LiveModel> model, std::span<const std::int32_t> ids, PromptLayout layout,
    std::vector<Method> methods, const std::function<bool(double)>& progress)
    : m_model(std::move(model))
    , m_ids(ids.begin(), ids.end())
    , m_layout(std::move(layout))
    , m_methods(std::move(methods))
{
    if (m_layout.promptTokens() != std::ssize(ids))
        throw ModelError(fmt::format(
            "prompt: found {} tokens, expected {}, those of its layout", ids.size(), m_layout.promptTokens()));
    LiveScorer scorer(*m_model, m_layout, m_methods);
    LiveModel::Prefill prefill = m_model->prefill(ids, scorer, progress);
    m_cache = std::move(prefill.cache);

    PromptState state;
    state.shape = cacheShape(m_model->config(), std::ssize(ids));
    state.promptTokens = std::ssize(ids);
    state.lastToken = ids.back();
    state.logits = std::move(prefill.logits);
    state.lastQueryCount = scorer.lastQueryCount();
    state.lastQueries = scorer.takeLastQueries();
    m_state = std::make_shared<const PromptState>(std::move(state));
    m_scored = scorer.scored();
}

Branch LivePrompt::branch(std::size_t method, const Budget& budget, const std::optional<Budget>& decodeBudget) const
{
    const Method& of = m_methods.at(method);
    if (of.layerPruner != nullptr)
        return prunedBranch(of, budget, decodeBudget);
    std::optional<Branch> branch;
    m_model->runTasks(1, [&](std::int64_t) { // on the model's threads
        ReplayResult choice = m_scored[method]->choose(budget);
        branch.emplace(m_state, *m_cache,
            Branch::Cut{of, budget, decodeBudget, std::move(choice.kept), std::move(choice.notes)}, m_scored[method]);
    });
    return std::move(*branch);
}

Branch LivePrompt::prunedBranch(
    const Method& method, const Budget& budget, const std::optional<Budget>& decodeBudget) const
{
    PromptPruner pruner(m_model->config(), *method.layerPruner, budget, std::ssize(m_ids));
    LiveModel::Prefill prefill = m_model->prefill(m_ids, pruner);
    PromptState state;
    state.shape = m_state->shape;
    state.promptTokens = m_state->promptTokens;
    state.lastToken = m_state->lastToken;
    state.logits = std::move(prefill.logits);

    const ModelConfig& config = m_model->config();
    std::map<int, KeepSet> kept;
    for (int layer = 0; layer < config.numLayers; ++layer) {
        std::vector<std::int32_t> entered;
        std::ranges::transform(prefill.cache->positions(layer), std::back_inserter(entered),
            [](std::int64_t position) { return static_cast<std::int32_t>(position); });
        kept.emplace(layer, layerKeepSet(std::move(entered), config.numKvHeads));
    }
    return {std::make_shared<const PromptState>(std::move(state)), *prefill.cache,
        {method, budget, decodeBudget, std::move(kept), {}}, nullptr};
}

} // namespace kvloupe
