// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/recording/attention_recorder_state.h"

#include "core/recording/vector_statistics.h"

#include <fmt/format.h>
#include <tbb/parallel_invoke.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace kvloupe {

namespace {

constexpr std::int64_t sliceBytes = std::int64_t{16} << 20; // of queries, keys or values handed to the writer at once

/// Tokens [begin, begin + count) of a [heads, tokens, dim] array.
std::vector<float> sliceTokens(std::span<const float> array, std::int64_t heads, std::int64_t tokens, std::int64_t dim,
    std::int64_t begin, std::int64_t count)
{
    std::vector<float> slice;
    slice.reserve(index(heads * count * dim));
    for (std::int64_t h = 0; h < heads; ++h) {
        const auto part = array.subspan(index((h * tokens + begin) * dim), index(count * dim));
        slice.insert(slice.end(), part.begin(), part.end());
    }
    return slice;
}

} // namespace

/// Puts what is kept of one row at place `at` of each array; `cells` ends with the row's own token.
void AttentionRecorder::State::storeRow(std::map<TokenArray, std::vector<float>>& arrays, std::int64_t at,
    const RowStatistics& row, std::span<const float> cells, Scratch& local) const
{
    arrays.at(TokenArray::RowLogSumExp)[index(at)] = row.logSumExp;
    arrays.at(TokenArray::RowEntropy)[index(at)] = row.entropy;
    arrays.at(TokenArray::RowSinkMass)[index(at)] = row.sinkMass;
    arrays.at(TokenArray::RowMax)[index(at)] = row.maximum;
    if (!options.rowOrder) {
        return;
    }
    const auto visible = window > 0 && std::ssize(cells) > window ? cells.last(index(window)) : cells;
    local.cells.assign(visible.begin(), visible.end());
    const RowOrder order = rowOrder(local.cells);
    arrays.at(TokenArray::RowGini)[index(at)] = order.gini;
    std::copy(order.topMass.begin(), order.topMass.end(),
        arrays.at(TokenArray::RowTopMass).begin() + at * valuesPerRow(TokenArray::RowTopMass));
}

void AttentionRecorder::State::beginPrompt(const LayerVectors& vectors, std::int64_t layerWindow, int ropeVariant)
{
    if (vectors.tokenBegin != 0 || vectors.tokens != promptTokens) {
        throw RecordingError(
            fmt::format("layer {}: the first call brings tokens {} to {}, expected the whole prompt of {} tokens",
                vectors.layer, vectors.tokenBegin, vectors.tokenBegin + vectors.tokens, promptTokens));
    }
    window = layerWindow;
    auto& maps = layerMapHeads[vectors.layer];
    if (options.kind == RecordKind::Full) {
        if (options.mapHeads.empty()) {
            maps.resize(index(model.numHeads));
            std::iota(maps.begin(), maps.end(), 0);
        } else {
            maps = options.mapHeads.at(index(vectors.layer));
        }
    }
    tailRows = options.kind == RecordKind::Statistics ? std::min(options.tailRows, promptTokens) : 0;

    LayerInfo info;
    info.layer = vectors.layer;
    info.window = window;
    info.ropeVariant = ropeVariant;
    info.mapHeads = maps;
    info.hasQueriesKeys = keepsVectors();
    info.hasValues = keepsVectors();
    info.hasTail = tailRows > 0;
    info.tailRows = tailRows;
    info.pyramidFactors = factors;
    writer.beginLayer(info);

    for (const TokenArray array : rowArrayKinds()) {
        rowArrays[array].assign(index(model.numHeads * promptTokens * valuesPerRow(array)), 0.0F);
    }
    tail.assign(index(model.numHeads * tailRows * promptTokens), 0.0F);
    overviewMaximum.assign(index(model.numHeads * edge * edge), 0);
    overviewMean.assign(overviewMaximum.size(), 0);
    for (HeadState& head : heads) {
        head.bands.clear();
        head.overviewRows.clear();
        head.pyramidRows.clear();
    }
    columnSums.clear();
    isSummarised.assign(heads.size(), 0);
    writePromptVectors(vectors);
}

void AttentionRecorder::State::writePromptVectors(const LayerVectors& vectors)
{
    const std::int64_t dim = model.headDim;
    const auto write = [&](VectorArray array, std::span<const float> data, std::int64_t count) {
        // Whole chunks of tokens, so that no chunk is written twice.
        const std::int64_t step
            = std::max<std::int64_t>(1, sliceBytes / (count * dim * 4 * vectorChunkTokens)) * vectorChunkTokens;
        for (std::int64_t begin = 0; begin < promptTokens; begin += step) {
            const std::int64_t tokens = std::min(step, promptTokens - begin);
            writer.writeVectors(
                vectors.layer, array, begin, tokens, sliceTokens(data, count, promptTokens, dim, begin, tokens));
        }
    };
    // The forward pass waits meanwhile, so the copies are shared out.
    tbb::parallel_invoke(
        [&] {
            if (keepsVectors()) {
                write(VectorArray::Queries, vectors.queries, model.numHeads);
            }
        },
        [&] {
            if (keepsVectors()) {
                write(VectorArray::Keys, vectors.keys, model.numKvHeads);
                write(VectorArray::Values, vectors.values, model.numKvHeads);
            }
            writer.write(vectors.layer, TokenArray::KeyNorm, 0, promptTokens, euclideanNorms(vectors.keys, dim));
            writer.write(vectors.layer, TokenArray::ValueNorm, 0, promptTokens, euclideanNorms(vectors.values, dim));
        });
    if (!vectors.outputValueNorms.empty()) {
        writer.write(vectors.layer, TokenArray::OutputValueNorm1, 0, promptTokens,
            {vectors.outputValueNorms.begin(), vectors.outputValueNorms.end()});
    }
    if (!vectors.queriesBeforeRope.empty()) {
        auto statistics = queryStatistics(vectors.queriesBeforeRope, model.numHeads, promptTokens, dim);
        writer.writeQueryStatistics(vectors.layer, std::move(statistics.mean), std::move(statistics.covariance));
    }
}

void AttentionRecorder::State::promptBlock(int layer, int head, std::int64_t queryBegin, std::int64_t rows,
    std::span<const float> probabilities, std::int64_t stride, std::span<const RowStatistics> statistics)
{
    const std::int64_t end = queryBegin + rows;
    if (queryBegin % blockRows != 0 || end > promptTokens || (rows != blockRows && end != promptTokens)) {
        throw RecordingError(
            fmt::format("layer {} head {}: rows {} to {} are no block of {} rows of a prompt of {} tokens", layer, head,
                queryBegin, end, blockRows, promptTokens));
    }
    const std::int64_t base = head * promptTokens + queryBegin;
    for (std::int64_t r = 0; r < rows; ++r) {
        const RowStatistics& row = statistics[index(r)];
        storeRow(rowArrays, base + r, row, probabilities.subspan(index(r * stride), index(queryBegin + r + 1)),
            scratch.local());
        const std::int64_t tailRow = queryBegin + r - (promptTokens - tailRows);
        if (tailRow >= 0) {
            const auto source = probabilities.subspan(index(r * stride), index(queryBegin + r + 1));
            std::copy(source.begin(), source.end(), tail.begin() + (head * tailRows + tailRow) * promptTokens);
        }
    }
    Scratch& local = scratch.local();
    const auto& maps = mapHeads(layer);
    if (std::binary_search(maps.begin(), maps.end(), head)) {
        mapTiles(layer, head, queryBegin, rows, probabilities, stride, local);
    }
    columnSums.add(head, queryBegin, rows, probabilities, stride);
    if (levels > 0) {
        local.pyramid.build(probabilities, rows, end, stride, levels);
        pyramidRows(layer, head, queryBegin, local);
    }
    if (overview > 1) {
        overviewRows(head, queryBegin, local);
    } else {
        for (std::int64_t r = 0; r < rows; ++r) {
            const auto out = index((head * edge + queryBegin + r) * edge);
            floatsToHalves(probabilities.subspan(index(r * stride), index(end)),
                std::span(overviewMaximum).subspan(out, index(end)));
            std::copy_n(overviewMaximum.begin() + std::ptrdiff_t(out), end, overviewMean.begin() + std::ptrdiff_t(out));
        }
    }
}

void AttentionRecorder::State::mapTiles(int layer, int head, std::int64_t queryBegin, std::int64_t rows,
    std::span<const float> probabilities, std::int64_t stride, Scratch& local)
{
    const std::int64_t end = queryBegin + rows;
    const std::int64_t firstColumn = window > 0 ? std::max<std::int64_t>(0, queryBegin - window + 1) : 0;
    for (std::int64_t column = firstColumn / tileSize * tileSize; column < end; column += tileSize) {
        const std::int64_t columns = std::min(tileSize, end - column);
        if (rows < tileSize || columns < tileSize) {
            std::fill(local.tile.begin(), local.tile.end(), Half{0});
        }
        for (std::int64_t r = 0; r < rows; ++r) {
            floatsToHalves(probabilities.subspan(index(r * stride + column), index(columns)),
                std::span(local.tile).subspan(index(r * tileSize), index(columns)));
        }
        writer.writeMapTile(layer, head, queryBegin / tileSize, column / tileSize, local.tile, local.codec);
    }
}

void AttentionRecorder::State::eachPooledRow(CoarseRows& coarse, int level, std::int64_t queryBegin,
    const Scratch& local,
    const std::function<void(std::int64_t row, std::span<const float> maximum, std::span<const float> sum)>& body)
{
    const std::int64_t factor = std::int64_t{1} << level;
    const std::int64_t firstRow = queryBegin / factor;
    if (factor <= blockRows) {
        for (std::int64_t r = 0; r < local.pyramid.rows(level); ++r) {
            body(firstRow + r, local.pyramid.maximum(level, r), local.pyramid.sum(level, r));
        }
        return;
    }
    const std::int64_t queries = std::min(promptTokens, (firstRow + 1) * factor) - firstRow * factor;
    const auto whole = coarse.add({factor, firstRow}, queryBegin, (queries + blockRows - 1) / blockRows,
        local.pyramid.maximum(level, 0), local.pyramid.sum(level, 0));
    if (whole) {
        body(firstRow, whole->maximum, whole->sum);
    }
}

void AttentionRecorder::State::means(
    int level, std::int64_t row, std::span<const float> sums, std::span<float> out) const
{
    const std::int64_t factor = std::int64_t{1} << level;
    for (std::size_t c = 0; c < out.size(); ++c) {
        const std::int64_t cells = causalCells(row, static_cast<std::int64_t>(c), factor, promptTokens, window);
        out[c] = cells > 0 ? sums[c] / static_cast<float>(cells) : 0.0F;
    }
}

void AttentionRecorder::State::pyramidRows(int layer, int head, std::int64_t queryBegin, Scratch& local)
{
    for (const int factor : factors) {
        const int level = levelOf(factor);
        const std::int64_t levelEdge = (promptTokens + factor - 1) / factor;
        const std::int64_t tileRow = queryBegin / factor / tileSize;
        HeadState& state = heads[index(head)];
        PyramidBand* band = nullptr;
        {
            const std::lock_guard lock(state.mutex);
            band = &state.bands[{factor, tileRow}];
            if (band->rows == 0) {
                band->rows = std::min(tileSize, levelEdge - tileRow * tileSize);
                // Cells right of the band's last diagonal tile are never stored.
                band->columns = std::min(levelEdge, (tileRow + 1) * tileSize);
                band->maximum.assign(index(band->rows * band->columns), 0);
                band->mean.assign(band->maximum.size(), 0);
            }
        }
        // Blocks write disjoint rows of the band; map nodes do not move.
        std::int64_t rows = 0;
        eachPooledRow(state.pyramidRows, level, queryBegin, local,
            [&](std::int64_t row, std::span<const float> maximum, std::span<const float> sum) {
                const std::size_t columns = std::min(maximum.size(), index(band->columns));
                const std::size_t out = index((row - tileRow * tileSize) * band->columns);
                floatsToHalves(maximum.first(columns), std::span(band->maximum).subspan(out, columns));
                local.means.resize(columns);
                means(level, row, sum, local.means);
                floatsToHalves(local.means, std::span(band->mean).subspan(out, columns));
                ++rows;
            });
        if (rows == 0) {
            continue; // and the band may be another thread's, done and gone, by now
        }
        PyramidBand done;
        {
            const std::lock_guard lock(state.mutex);
            band->rowsDone += rows;
            if (band->rowsDone == band->rows) {
                done = std::move(*band);
                state.bands.erase({factor, tileRow});
            }
        }
        if (done.rows > 0) {
            writeBand(layer, head, factor, tileRow, done, local);
        }
    }
}

void AttentionRecorder::State::writeBand(
    int layer, int head, int factor, std::int64_t tileRow, const PyramidBand& band, Scratch& local)
{
    for (const Pooling pooling : {Pooling::Max, Pooling::Mean}) {
        const auto& cells = pooling == Pooling::Max ? band.maximum : band.mean;
        const std::int64_t firstVisible
            = window > 0 ? std::max<std::int64_t>(0, tileRow * tileSize * factor - window + 1) / factor : 0;
        for (std::int64_t column = firstVisible / tileSize * tileSize; column < band.columns; column += tileSize) {
            const std::int64_t columns = std::min(tileSize, band.columns - column);
            std::fill(local.tile.begin(), local.tile.end(), Half{0});
            for (std::int64_t r = 0; r < band.rows; ++r) {
                std::copy_n(cells.begin() + r * band.columns + column, columns, local.tile.begin() + r * tileSize);
            }
            writer.writePyramidTile(layer, head, factor, pooling, tileRow, column / tileSize, local.tile, local.codec);
        }
    }
}

void AttentionRecorder::State::overviewRows(int head, std::int64_t queryBegin, Scratch& local)
{
    const int level = levelOf(overview);
    eachPooledRow(heads[index(head)].overviewRows, level, queryBegin, local,
        [&](std::int64_t row, std::span<const float> maximum, std::span<const float> sum) {
            const std::size_t columns = std::min(maximum.size(), index(edge));
            const std::size_t out = index((head * edge + row) * edge);
            floatsToHalves(maximum.first(columns), std::span(overviewMaximum).subspan(out, columns));
            local.means.resize(columns);
            means(level, row, sum, local.means);
            floatsToHalves(local.means, std::span(overviewMean).subspan(out, columns));
        });
}

void AttentionRecorder::State::endPrompt(int layer)
{
    std::vector<float> sums = columnSums.sums();
    for (int head = 0; head < model.numHeads; ++head) {
        if (isSummarised[index(head)] != 0) {
            std::copy_n(
                givenColumnSums.begin() + head * promptTokens, promptTokens, sums.begin() + head * promptTokens);
        } else if (columnSums.rowsAdded(head) != promptTokens) {
            throw RecordingError(fmt::format(
                "layer {} head {}: found {} rows, expected {}", layer, head, columnSums.rowsAdded(head), promptTokens));
        }
    }
    writer.write(layer, TokenArray::ColumnSum, 0, promptTokens, std::move(sums));
    for (auto& [array, values] : rowArrays) {
        writer.write(layer, array, 0, promptTokens, std::move(values));
    }
    if (tailRows > 0) {
        writer.writeTail(layer, tailRows, std::move(tail));
    }
    writer.writeOverview(layer, Pooling::Max, std::move(overviewMaximum));
    writer.writeOverview(layer, Pooling::Mean, std::move(overviewMean));
}

AttentionRecorder::AttentionRecorder(SampleWriter& writer, const ModelInfo& model, std::int64_t promptTokens,
    std::int64_t maximumTokens, Options options)
    : m_state(std::make_unique<State>(writer, model, promptTokens, maximumTokens, std::move(options)))
{
}

AttentionRecorder::~AttentionRecorder() = default;

bool AttentionRecorder::wantsLayer(int layer) const
{
    const auto& layers = m_state->options.layers;
    return layers.empty() || std::binary_search(layers.begin(), layers.end(), layer);
}

void AttentionRecorder::beginLayer(const LayerVectors& vectors, std::int64_t window, int ropeVariant)
{
    m_state->prompt = vectors.tokenBegin < m_state->promptTokens;
    if (m_state->prompt) {
        m_state->beginPrompt(vectors, window, ropeVariant);
    } else {
        m_state->beginGenerated(vectors);
    }
}

void AttentionRecorder::block(int layer, int head, std::int64_t queryBegin, std::int64_t rows,
    std::span<const float> probabilities, std::int64_t stride, std::span<const RowStatistics> statistics)
{
    if (m_state->prompt) {
        m_state->promptBlock(layer, head, queryBegin, rows, probabilities, stride, statistics);
    } else {
        m_state->generatedRow(layer, head, queryBegin, probabilities, statistics[0]);
    }
}

void AttentionRecorder::summary(int layer, int head, const HeadSummary& summary)
{
    m_state->summarise(layer, head, summary);
}

void AttentionRecorder::mapTile(
    int layer, int head, std::int64_t tileRow, std::int64_t tileColumn, std::span<const Half> tile)
{
    m_state->writer.writeMapTile(layer, head, tileRow, tileColumn, tile, m_state->scratch.local().codec);
}

bool AttentionRecorder::needsRows() const
{
    return m_state->options.rowOrder;
}

std::vector<std::int64_t> AttentionRecorder::levelFactors() const
{
    std::vector<std::int64_t> factors(m_state->factors.begin(), m_state->factors.end());
    factors.insert(std::ranges::lower_bound(factors, m_state->overview), m_state->overview);
    factors.erase(std::ranges::unique(factors).begin(), factors.end());
    return factors;
}

bool AttentionRecorder::hasMap(int layer, int head) const
{
    const auto& maps = m_state->mapHeads(layer);
    return std::ranges::binary_search(maps, head);
}

void AttentionRecorder::endLayer(int layer)
{
    if (m_state->prompt) {
        m_state->endPrompt(layer);
    } else {
        m_state->endGenerated(layer);
    }
}

void AttentionRecorder::finish(std::int64_t totalTokens)
{
    for (int layer = 0; layer < m_state->model.numLayers; ++layer) {
        if (m_state->generated[index(layer)].tokens > 0
            && totalTokens < m_state->generated[index(layer)].tokenBegin + m_state->generated[index(layer)].tokens) {
            throw RecordingError(
                fmt::format("layer {}: more tokens were recorded than the {} of the sample", layer, totalTokens));
        }
        m_state->flushGenerated(layer);
        for (auto& [generatedIndex, row] : m_state->heldRows[index(layer)]) {
            m_state->writer.writeDecodeRow(layer, generatedIndex, std::move(row));
        }
    }
}

} // namespace kvloupe
