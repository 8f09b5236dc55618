// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/methods/quest.h"

#include "core/methods/parameter_values.h"

#include <algorithm>
#include <limits>

namespace kvloupe {

PageSelection::PageSelection(Parameters parameters)
    : m_parameters(parameters)
{
}

std::unique_ptr<DecodePolicy> PageSelection::clone() const
{
    return std::make_unique<PageSelection>(*this);
}

DecodeNeeds PageSelection::needs() const
{
    DecodeNeeds needs;
    needs.queries = true;
    needs.keys = true;
    return needs;
}

std::size_t PageSelection::pageOf(std::int64_t position) const
{
    return static_cast<std::size_t>(position / m_parameters.pageTokens - m_firstPage);
}

void PageSelection::add(std::int64_t position, std::span<const float> key)
{
    const std::size_t begin = pageOf(position) * m_dim;
    if (begin >= m_low.size()) {
        m_low.resize(begin + m_dim, std::numeric_limits<float>::infinity());
        m_high.resize(begin + m_dim, -std::numeric_limits<float>::infinity());
    }
    for (std::size_t channel = 0; channel < m_dim; ++channel) {
        m_low[begin + channel] = std::min(m_low[begin + channel], key[channel]);
        m_high[begin + channel] = std::max(m_high[begin + channel], key[channel]);
    }
}

std::vector<std::int32_t> PageSelection::begin(const DecodeStart& start)
{
    m_dense = start.layer < m_parameters.denseLayers;
    const std::int64_t budget = start.budget != nullptr ? start.budget->tokensKept(start.promptTokens) : start.capacity;
    m_visiblePages = std::max(m_parameters.fewestPages, budget / m_parameters.pageTokens);
    m_firstPage = (start.alive.empty() ? start.promptTokens : start.alive.front()) / m_parameters.pageTokens;
    m_dim = static_cast<std::size_t>(start.headDim);
    m_low.clear();
    m_high.clear();
    for (std::size_t slot = 0; slot < start.alive.size() && !m_dense; ++slot)
        add(start.alive[slot], start.keys.row(slot));
    return {};
}

void PageSelection::scorePages(std::span<const float> query)
{
    const std::size_t pages = m_low.size() / m_dim;
    m_scores.assign(pages, -std::numeric_limits<float>::infinity());
    for (std::size_t head = 0; head < query.size() / m_dim; ++head) {
        const auto of = query.subspan(head * m_dim, m_dim);
        for (std::size_t page = 0; page < pages; ++page) {
            const float* const low = m_low.data() + page * m_dim;
            const float* const high = m_high.data() + page * m_dim;
            double bound = 0.0;
            for (std::size_t channel = 0; channel < m_dim; ++channel)
                bound += static_cast<double>(of[channel])
                    * static_cast<double>(of[channel] > 0.0F ? high[channel] : low[channel]);
            m_scores[page] = std::max(m_scores[page], static_cast<float>(bound));
        }
    }
}

std::vector<std::int32_t> PageSelection::hideBefore(const DecodeStep& step)
{
    if (m_dense)
        return {};
    add(step.position, step.keys.row(step.alive.size() - 1));
    scorePages(step.query);
    // The newest page holds the query's own token: always seen, within the number of pages.
    std::vector<bool> seen(m_scores.size(), false);
    for (const std::int32_t page : selectTop(m_scores, m_visiblePages, {0, 1}))
        seen[static_cast<std::size_t>(page)] = true;
    std::vector<std::int32_t> hidden;
    for (const std::int32_t position : step.alive)
        if (!seen[pageOf(position)])
            hidden.push_back(position);
    return hidden;
}

DecodeVerdict PageSelection::step(const DecodeStep& step)
{
    DecodeVerdict verdict;
    if (m_dense)
        return verdict;
    verdict.scores.reserve(step.alive.size());
    verdict.guards.reserve(step.alive.size());
    for (const std::int32_t position : step.alive) {
        const std::size_t page = pageOf(position);
        const bool newest = page + 1 == m_scores.size();
        verdict.scores.push_back(newest ? std::numeric_limits<float>::quiet_NaN() : m_scores[page]);
        verdict.guards.push_back(newest ? Guard::Recent : Guard::None);
    }
    return verdict;
}

MethodInfo questMethod()
{
    using enum ParameterInfo::Type;
    MethodInfo info;
    info.name = "quest";
    info.title = "Quest";
    info.summary = "Keeps everything and shows each generated query only the pages of the cache that may matter to it.";
    info.source = "Tang et al. 2024, arXiv 2406.10774, section 3.2";
    info.parameters = {
        {"page", Integer, "16", "tokens per page", 1, 65536, {}},
        {"min_pages", Integer, "3", "pages that are seen at least", 1, 1e9, {}},
        {"dense_layers", Integer, "2", "first layers of the model that see everything", 0, 1e6, {}},
        {"level", Choice, "q_head", "pages per query head, or per KV head by the maximum over its query heads", 0, 0,
            {"q_head", "kv_head"}},
    };
    info.make = [](const ParameterValues& values) {
        PageSelection::Parameters parameters;
        parameters.pageTokens = integerValue(values, "page");
        parameters.fewestPages = integerValue(values, "min_pages");
        parameters.denseLayers = static_cast<int>(integerValue(values, "dense_layers"));
        parameters.level = granularityValue(values, "level");
        Method method;
        method.granularity = parameters.level;
        method.chooser = std::make_shared<KeepAll>();
        method.decodePolicy = std::make_shared<PageSelection>(parameters);
        return method;
    };
    return info;
}

} // namespace kvloupe
