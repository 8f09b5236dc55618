// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/cache/prompt_pruner.h"

#include "core/methods/method_error.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace kvloupe {

PromptPruner::PromptPruner(
    const ModelConfig& config, const LayerPruner& pruner, const Budget& budget, std::int64_t promptTokens)
    : m_config(config)
    , m_pruner(pruner)
    , m_budget(budget)
    , m_promptTokens(promptTokens)
    , m_entering(static_cast<std::size_t>(promptTokens))
{
    std::iota(m_entering.begin(), m_entering.end(), 0);
}

std::int64_t PromptPruner::firstRowWanted(std::int64_t entering) const
{
    return entering - m_pruner.votingRows(m_promptTokens);
}

void PromptPruner::beginLayer(const LayerVectors& /*vectors*/)
{
    m_sums.clear();
}

void PromptPruner::block(int /*layer*/, int head, std::int64_t queryBegin, std::int64_t rows,
    std::span<const float> probabilities, std::int64_t stride, std::span<const RowStatistics> /*statistics*/)
{
    const auto entering = static_cast<std::int64_t>(m_entering.size());
    const std::int64_t voting = m_pruner.votingRows(m_promptTokens);
    const std::int64_t firstVote = firstRowWanted(entering);
    if (queryBegin + rows <= firstVote)
        return;
    std::vector<double> sums(static_cast<std::size_t>(queryBegin + rows));
    for (std::int64_t r = std::max<std::int64_t>(0, firstVote - queryBegin); r < rows; ++r) {
        const double weight = m_pruner.voteWeight(queryBegin + r - firstVote, voting);
        const float* const row = probabilities.data() + r * stride;
        for (std::int64_t key = 0; key <= queryBegin + r; ++key)
            sums[static_cast<std::size_t>(key)] += weight * static_cast<double>(row[key]);
    }
    const std::lock_guard lock(m_mutex);
    m_sums.emplace(std::pair(queryBegin, head), std::move(sums));
}

/// Blocks and heads in their order, so that the result does not depend on threads.
std::vector<float> PromptPruner::votes() const
{
    std::vector<double> sums(m_entering.size());
    for (const auto& [place, ofBlock] : m_sums)
        std::ranges::transform(ofBlock, sums, sums.begin(), [](double vote, double sum) { return sum + vote; });
    const double scale
        = 1.0 / (static_cast<double>(m_config.numHeads) * static_cast<double>(m_pruner.votingRows(m_promptTokens)));
    std::vector<float> votes(sums.size());
    std::ranges::transform(sums, votes.begin(), [scale](double sum) { return static_cast<float>(sum * scale); });
    return votes;
}

std::vector<std::int64_t> PromptPruner::survivors(int layer)
{
    if (layer + 1 == m_config.numLayers)
        return {};
    const std::vector<std::int32_t> left
        = m_pruner.survivors(m_entering, votes(), {layer, m_config.numLayers, m_promptTokens}, m_budget);
    std::vector<std::int64_t> rows;
    auto from = m_entering.begin();
    for (const std::int32_t position : left) {
        from = std::lower_bound(from, m_entering.end(), position);
        if (from == m_entering.end() || *from != position)
            throw MethodError(
                fmt::format("layer {}: position {} survives, but has not entered the layer", layer, position));
        rows.push_back(from - m_entering.begin());
    }
    if (rows.empty() || rows.back() + 1 != static_cast<std::int64_t>(m_entering.size()))
        throw MethodError(fmt::format("layer {}: the newest token must survive", layer));
    m_entering = left;
    return rows;
}

} // namespace kvloupe
