// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/cache/live_prompt.h"

#include "capture/cache/live_scorer.h"
#include "capture/cache/pruned_attention.h"
#include "capture/model/forward_pass.h"
#include "capture/model/model_error.h"
#include "capture/model/transformer.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <utility>

namespace kvloupe {

LivePrompt::LivePrompt(const Transformer& model, std::span<const std::int32_t> ids, PromptLayout layout,
    std::vector<Method> methods, const std::function<bool(double)>& progress)
    : m_model(&model)
    , m_ids(ids.begin(), ids.end())
    , m_layout(std::move(layout))
    , m_methods(std::move(methods))
    , m_cache(model.makeCache(std::ssize(ids)))
{
    if (m_layout.promptTokens() != std::ssize(ids))
        throw ModelError(fmt::format(
            "prompt: found {} tokens, expected {}, those of its layout", ids.size(), m_layout.promptTokens()));
    LiveScorer scorer(model, m_layout, m_methods);
    PrefillOptions options;
    options.positionLogits = false;
    options.progress = progress;
    PrefillResult prefill = model.prefill(ids, m_cache, options, &scorer);

    PromptState state;
    state.shape = cacheShape(model.config(), std::ssize(ids));
    state.promptTokens = std::ssize(ids);
    state.lastToken = ids.back();
    state.logits = std::move(prefill.lastLogits);
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
        branch.emplace(m_state, m_cache,
            Branch::Cut{of, budget, decodeBudget, std::move(choice.kept), std::move(choice.notes)}, m_scored[method]);
    });
    return std::move(*branch);
}

Branch LivePrompt::prunedBranch(
    const Method& method, const Budget& budget, const std::optional<Budget>& decodeBudget) const
{
    KvCache cache = m_model->makeCache(std::ssize(m_ids));
    PrunedAttention attention(m_model->config(), cache, *method.layerPruner, budget, std::ssize(m_ids));
    std::vector<std::int64_t> positions(m_ids.size());
    std::iota(positions.begin(), positions.end(), std::int64_t{0});
    PromptState state;
    state.shape = m_state->shape;
    state.promptTokens = m_state->promptTokens;
    state.lastToken = m_state->lastToken;
    const std::vector<std::int64_t> textTokens(m_ids.size(), std::ssize(m_ids));
    state.logits = m_model->run({m_ids, positions, textTokens}, attention, Transformer::LogitRows::Last);

    std::map<int, KeepSet> kept;
    for (int layer = 0; layer < cache.layers(); ++layer) {
        std::vector<std::int32_t> entered;
        std::ranges::transform(cache.positions(layer, 0), std::back_inserter(entered),
            [](std::int64_t position) { return static_cast<std::int32_t>(position); });
        kept.emplace(layer, layerKeepSet(std::move(entered), cache.kvHeads()));
    }
    return {std::make_shared<const PromptState>(std::move(state)), cache,
        {method, budget, decodeBudget, std::move(kept), {}}, nullptr};
}

} // namespace kvloupe
