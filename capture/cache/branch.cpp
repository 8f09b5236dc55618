// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/cache/branch.h"

#include "core/replay/replay.h"

#include <fmt/format.h>
#include <tbb/parallel_for.h>

#include <algorithm>
#include <utility>

namespace kvloupe {

Branch::Branch(std::shared_ptr<const PromptState> prompt, const PromptCache& prefill, Cut cut,
    std::shared_ptr<const ScoredSample> scored)
    : m_prompt(std::move(prompt))
    , m_scored(std::move(scored))
    , m_logits(m_prompt->logits)
    , m_method(std::move(cut.method))
    , m_budget(std::move(cut.budget))
    , m_decodeBudget(std::move(cut.decodeBudget))
    , m_notes(std::move(cut.notes))
    , m_granularity(m_method.granularity)
    , m_position(m_prompt->promptTokens)
{
    // Copying vectors is most of the work of a cut.
    std::vector<std::optional<LayerCache>> layers(static_cast<std::size_t>(m_prompt->shape.numLayers));
    tbb::parallel_for(0, m_prompt->shape.numLayers, [&](int layer) {
        const auto kept = cut.kept.find(layer);
        if (kept == cut.kept.end())
            throw MethodError(fmt::format("method '{}': layer {} has no kept sets", m_method.spec, layer));
        layers[static_cast<std::size_t>(layer)].emplace(
            m_prompt->shape, layer, prefill, LayerCache::Cut{m_method, kept->second, m_prompt->promptTokens});
    });
    for (auto& layer : layers)
        m_layers.push_back(std::move(*layer));
}

std::int64_t Branch::rotaryPosition() const
{
    if (m_method.positions == PositionMode::Keep)
        return m_position;
    return m_layers.front().tokens(0);
}

KeepSet Branch::alive(int layer) const
{
    const LayerCache& cache = m_layers[static_cast<std::size_t>(layer)];
    KeepSet keep{m_granularity, {}};
    for (int list = 0; list < cache.lists(); ++list)
        keep.sets.emplace_back(cache.alive(list).begin(), cache.alive(list).end());
    return keep;
}

double Branch::meanTokens() const
{
    double sum = 0.0;
    std::int64_t lists = 0;
    for (const LayerCache& layer : m_layers) {
        lists += layer.lists();
        for (int list = 0; list < layer.lists(); ++list)
            sum += static_cast<double>(layer.tokens(list));
    }
    return sum / static_cast<double>(lists);
}

std::int64_t Branch::bytes() const
{
    std::int64_t sum = 0;
    for (const LayerCache& layer : m_layers)
        sum += layer.bytes();
    return sum;
}

void Branch::beginDecoding()
{
    if (m_decoding)
        return;
    m_decoding = true;
    for (std::size_t layer = 0; layer < m_layers.size(); ++layer) {
        LayerCache::Start start;
        start.budget = &m_budget;
        start.decodeBudget = m_decodeBudget ? &*m_decodeBudget : &m_budget;
        start.lastQueryCount = m_prompt->lastQueryCount;
        if (!m_prompt->lastQueries.empty())
            start.lastQueries = m_prompt->lastQueries[layer];
        if (m_scored) {
            const auto found = std::ranges::find(m_scored->layers(), static_cast<int>(layer));
            if (found != m_scored->layers().end())
                start.scores = m_scored->scores()[static_cast<std::size_t>(found - m_scored->layers().begin())].values;
        }
        m_layers[layer].begin(start);
    }
}

std::vector<Branch*> pointersTo(std::vector<Branch>& branches)
{
    std::vector<Branch*> pointers;
    for (Branch& branch : branches)
        pointers.push_back(&branch);
    return pointers;
}

} // namespace kvloupe
