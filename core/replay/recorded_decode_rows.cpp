// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/replay/recorded_decode_rows.h"

#include <fmt/format.h>
#include <tbb/parallel_for.h>

#include <algorithm>

namespace kvloupe {

namespace {

constexpr std::int64_t blockSteps = 32;

} // namespace

RecordedDecodeRows::RecordedDecodeRows(
    const Recording& recording, int sample, int layer, std::int64_t steps, const DecodeNeeds& needs)
    : m_queryHeads(recording.model().numHeads)
    , m_headDim(recording.model().headDim)
    , m_promptTokens(recording.sample(sample).promptTokens)
    , m_steps(steps)
    , m_stride((m_promptTokens + steps + PackedKeys::panelKeys - 1) / PackedKeys::panelKeys * PackedKeys::panelKeys)
    , m_shape{static_cast<float>(recording.sample(sample).softmaxScale), recording.layer(sample, layer).window}
{
    if (!recording.layer(sample, layer).hasQueriesKeys)
        throw RecordingError(
            fmt::format("{}: sample {}, layer {}: attention of generated tokens is needed, queries and keys were not "
                        "recorded; record with --record qk",
                recording.path().string(), sample, layer));
    const std::int64_t tokens = m_promptTokens + steps;
    std::vector<float> keys(static_cast<std::size_t>(tokens * m_headDim));
    for (int head = 0; head < recording.model().numKvHeads; ++head) {
        recording.readVectors(sample, layer, VectorArray::Keys, head, 0, tokens, keys);
        m_keys.emplace_back(keys, m_headDim);
        if (needs.keys)
            m_plainKeys.push_back(keys);
    }
    const auto perHead = static_cast<std::size_t>(steps * m_headDim);
    m_queries.resize(perHead * static_cast<std::size_t>(m_queryHeads));
    for (int head = 0; head < m_queryHeads && steps > 0; ++head)
        recording.readVectors(sample, layer, VectorArray::Queries, head, m_promptTokens, tokens,
            std::span(m_queries).subspan(perHead * static_cast<std::size_t>(head), perHead));
    m_promptQueryCount = std::min(needs.promptQueries, m_promptTokens);
    const auto promptPerHead = static_cast<std::size_t>(m_promptQueryCount * m_headDim);
    m_promptQueries.resize(promptPerHead * static_cast<std::size_t>(m_queryHeads));
    for (int head = 0; head < m_queryHeads && m_promptQueryCount > 0; ++head)
        recording.readVectors(sample, layer, VectorArray::Queries, head, m_promptTokens - m_promptQueryCount,
            m_promptTokens,
            std::span(m_promptQueries).subspan(promptPerHead * static_cast<std::size_t>(head), promptPerHead));
    for (int head = 0; head < m_queryHeads; ++head)
        m_block.emplace_back(static_cast<std::size_t>(std::min(blockSteps, steps) * m_stride));
}

void RecordedDecodeRows::computeBlock(std::int64_t firstStep)
{
    const std::int64_t steps = std::min(blockSteps, m_steps - firstStep);
    const int group = m_queryHeads / static_cast<int>(m_keys.size());
    tbb::parallel_for(0, m_queryHeads, [&](int head) {
        std::vector<RowStatistics> statistics(static_cast<std::size_t>(steps));
        const auto queries
            = std::span(m_queries).subspan(static_cast<std::size_t>((head * m_steps + firstStep) * m_headDim),
                static_cast<std::size_t>(steps * m_headDim));
        attention_rows::softmaxRows(queries, m_keys[static_cast<std::size_t>(head / group)], m_promptTokens + firstStep,
            steps, m_shape, m_block[static_cast<std::size_t>(head)].span(), m_stride, statistics);
    });
    m_blockBegin = firstStep;
}

std::span<const float> RecordedDecodeRows::row(int head, std::int64_t step)
{
    if (m_blockBegin < 0 || step < m_blockBegin || step >= m_blockBegin + blockSteps)
        computeBlock(step / blockSteps * blockSteps);
    const AlignedFloats& block = m_block[static_cast<std::size_t>(head)];
    return {block.data() + (step - m_blockBegin) * m_stride, static_cast<std::size_t>(m_promptTokens + step + 1)};
}

std::span<const float> RecordedDecodeRows::query(int head, std::int64_t step)
{
    return std::span(m_queries).subspan(
        static_cast<std::size_t>((head * m_steps + step) * m_headDim), static_cast<std::size_t>(m_headDim));
}

std::span<const float> RecordedDecodeRows::promptQueries(int head, std::int64_t count)
{
    if (count > m_promptQueryCount)
        throw MethodError(fmt::format(
            "queries of the last {} prompt tokens are needed, found those of {}", count, m_promptQueryCount));
    return std::span(m_promptQueries)
        .subspan(static_cast<std::size_t>(((head + 1) * m_promptQueryCount - count) * m_headDim),
            static_cast<std::size_t>(count * m_headDim));
}

std::span<const float> RecordedDecodeRows::keys(int kvHead)
{
    if (m_plainKeys.empty())
        return DecodeRowSource::keys(kvHead);
    return m_plainKeys[static_cast<std::size_t>(kvHead)];
}

} // namespace kvloupe
