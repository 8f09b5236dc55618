// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/model/causal_attention.h"

#include <algorithm>

namespace kvloupe {

namespace {

constexpr std::int64_t valueRows = 128;

std::size_t count(std::int64_t value)
{
    return static_cast<std::size_t>(value);
}

std::int64_t attentionStride(std::int64_t columns)
{
    // Rows that lie a multiple of 4 KiB apart would share the same few sets of the first-level cache.
    const std::int64_t stride = (columns + 15) / 16 * 16;
    return stride % 256 == 0 ? stride + 16 : stride;
}

/// context (rows, d) = probabilities (rows, keys) values (keys, d). Keys are summed up in pieces that begin at fixed
/// places, so that a row has the same bits whatever block it is computed in; rows before a piece hold only zeros in it,
/// and keys before `firstKey` are seen by no row.
void addWeightedValues(Rows<const float> probabilities, std::int64_t queryBegin, std::int64_t firstKey,
    std::span<const float> values, std::int64_t d, Rows<float> context)
{
    const std::int64_t queryEnd = queryBegin + probabilities.count;
    for (std::int64_t row = 0; row < context.count; ++row)
        std::fill_n(context.data + row * context.stride, d, 0.0F);
    for (std::int64_t key = firstKey / valueRows * valueRows; key < queryEnd; key += valueRows) {
        const std::int64_t firstRow = std::max<std::int64_t>(0, key - queryBegin);
        const std::int64_t rows = probabilities.count - firstRow;
        addProduct({probabilities.data + firstRow * probabilities.stride + key, rows, probabilities.stride},
            std::min(valueRows, queryEnd - key), values.data() + key * d, d,
            {context.data + firstRow * context.stride, rows, context.stride});
    }
}

} // namespace

CausalAttention::CausalAttention(
    const ModelConfig& config, KvCache& cache, std::int64_t blockRows, AttentionObserver* observer)
    : m_config(config)
    , m_cache(cache)
    , m_blockRows(blockRows)
    , m_observer(observer)
    , m_past(cache.size())
{
}

std::int64_t CausalAttention::scratchFloats(std::int64_t rows) const
{
    return std::min(rows, m_blockRows) * attentionStride(m_past + rows);
}

double CausalAttention::work(std::int64_t rows) const
{
    return static_cast<double>(m_config.numHeads * m_config.headDim * rows * (m_past + rows)) * m_config.numLayers;
}

bool CausalAttention::wantsQueriesBeforeRope(int layer) const
{
    return m_observer != nullptr && m_observer->wantsQueriesBeforeRope(layer);
}

/// context = softmax(scale * queries keys^T) values, causal and within the layer's window, by blocks of query rows.
void CausalAttention::attend(const LayerRows& rows, PassWorkspace& workspace)
{
    const std::int64_t n = rows.rows;
    const std::int64_t d = m_config.headDim;
    const std::int64_t H = m_config.numHeads;
    workspace.runner().run(m_config.numKvHeads, [&](std::int64_t head, int) {
        m_cache.append(rows.layer, static_cast<int>(head), rows.keys.subspan(count(head * n * d), count(n * d)),
            rows.values.subspan(count(head * n * d), count(n * d)), rows.positions);
    });
    if (m_observer != nullptr)
        m_observer->beginLayer({rows.layer, m_past, n, rows.queries, rows.keys, rows.values, rows.queriesBeforeRope});

    // Blocks begin at multiples of blockRows in the cache, late ones go first because they see the most keys.
    const std::int64_t edge = m_blockRows;
    const std::int64_t firstBlock = m_past / edge;
    const std::int64_t blocks = (m_past + n + edge - 1) / edge - firstBlock;
    workspace.runner().run(blocks * H, [&](std::int64_t task, int slot) {
        const std::int64_t block = firstBlock + blocks - 1 - task / H;
        const std::int64_t begin = std::max(m_past, block * edge);
        const std::int64_t end = std::min(m_past + n, (block + 1) * edge);
        attendBlock(rows, task % H, begin, end, workspace.scratch(slot));
        workspace.advance(static_cast<double>((end - begin) * end * d));
    });

    if (m_observer != nullptr)
        m_observer->endLayer(rows.layer);
}

/// Queries [queryBegin, queryEnd), counted from the start of the cache, of one head.
void CausalAttention::attendBlock(
    const LayerRows& layer, std::int64_t head, std::int64_t queryBegin, std::int64_t queryEnd, std::span<float> scratch)
{
    const std::int64_t d = m_config.headDim;
    const int kvHead = static_cast<int>(head / m_config.queriesPerKvHead());
    const std::int64_t rows = queryEnd - queryBegin;
    const std::int64_t stride = attentionStride(queryEnd);
    const AttentionShape shape{static_cast<float>(m_config.attentionScale), m_config.window(layer.layer)};
    const std::int64_t firstKey = shape.window > 0 ? std::max<std::int64_t>(0, queryBegin - shape.window + 1) : 0;
    const std::span<const float> queries
        = layer.queries.subspan(count((head * layer.rows + queryBegin - m_past) * d), count(rows * d));
    const std::span<float> probabilities = scratch.first(count(rows * stride)); // (rows, stride)
    std::vector<RowStatistics> statistics(count(rows));
    const std::int64_t width = m_config.numHeads * d;
    float* context = layer.context.data() + (queryBegin - m_past) * width + head * d; // (rows, d), width apart

    attention_rows::softmaxRows(
        queries, m_cache.packedKeys(layer.layer, kvHead), queryBegin, rows, shape, probabilities, stride, statistics);
    addWeightedValues({probabilities.data(), rows, stride}, queryBegin, firstKey, m_cache.values(layer.layer, kvHead),
        d, {context, rows, width});
    if (m_observer != nullptr)
        m_observer->block(layer.layer, static_cast<int>(head), queryBegin, rows, probabilities, stride, statistics);
}

} // namespace kvloupe
