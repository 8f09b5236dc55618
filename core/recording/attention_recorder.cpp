// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/recording/attention_recorder.h"

#include "core/attention/block_column_sums.h"
#include "core/recording/coarse_rows.h"
#include "core/recording/recording.h"
#include "core/recording/row_order.h"
#include "core/recording/tile_pyramid.h"
#include "core/recording/vector_statistics.h"

#include <fmt/format.h>
#include <tbb/enumerable_thread_specific.h>
#include <tbb/parallel_invoke.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <numeric>

namespace kvloupe {

namespace {

constexpr std::int64_t flushTokens = 64; // generated tokens gathered before they are written
constexpr std::int64_t sliceBytes = std::int64_t{16} << 20; // of queries, keys or values handed to the writer at once

std::size_t index(std::int64_t value)
{
    return static_cast<std::size_t>(value);
}

/// Level of a pooling factor: 2^level = factor.
int levelOf(std::int64_t factor)
{
    return std::countr_zero(static_cast<std::uint64_t>(factor));
}

/// Values per token and head.
std::int64_t valuesPerRow(TokenArray array)
{
    return array == TokenArray::RowTopMass ? std::int64_t{RowOrder::topCounts.size()} : 1;
}

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

/// A row of 256-cell-high tiles of one pyramid level of one head, while its blocks come in.
struct PyramidBand {
    std::int64_t columns = 0;
    std::int64_t rows = 0;
    std::int64_t rowsDone = 0;
    std::vector<Half> maximum; // [rows, columns]
    std::vector<Half> mean;
};

struct HeadState {
    std::mutex mutex;
    std::map<std::pair<int, std::int64_t>, PyramidBand> bands; // by (factor, tile row)
    CoarseRows overviewRows;
    CoarseRows pyramidRows;
};

struct Scratch {
    explicit Scratch(Compression compression)
        : codec(compression)
    {
    }
    ChunkCodec codec;
    BlockPyramid pyramid;
    std::vector<Half> tile = std::vector<Half>(index(tileSize * tileSize));
    std::vector<float> means;
    std::vector<float> cells;
};

/// Generated tokens of one layer that wait to be written.
struct GeneratedRun {
    std::int64_t tokenBegin = 0;
    std::int64_t tokens = 0;
    std::map<TokenArray, std::vector<float>> arrays; // [tokens, heads]
    std::map<VectorArray, std::vector<float>> vectors; // [tokens, heads, dim]
};

/// [tokens, heads, dim] to [heads, tokens, dim].
std::vector<float> headsFirst(const std::vector<float>& array, std::int64_t tokens, std::int64_t dim)
{
    std::vector<float> result(array.size());
    const std::int64_t heads = std::ssize(array) / (tokens * dim);
    for (std::int64_t t = 0; t < tokens; ++t) {
        for (std::int64_t h = 0; h < heads; ++h) {
            std::copy_n(array.begin() + (t * heads + h) * dim, dim, result.begin() + (h * tokens + t) * dim);
        }
    }
    return result;
}

} // namespace

struct AttentionRecorder::State {
    State(SampleWriter& sampleWriter, const ModelInfo& modelInfo, std::int64_t tokensOfPrompt, std::int64_t maximum,
        Options recordOptions)
        : writer(sampleWriter)
        , model(modelInfo)
        , promptTokens(tokensOfPrompt)
        , maximumTokens(maximum)
        , options(std::move(recordOptions))
        , factors(pyramidFactors(promptTokens, options.kind))
        , overview(overviewFactor(promptTokens))
        , edge(overviewEdge(promptTokens))
        , scratch([compression = options.compression] { return Scratch(compression); })
        , generated(index(modelInfo.numLayers))
        , heldRows(index(modelInfo.numLayers))
        , columnSums(modelInfo.numHeads, tokensOfPrompt)
        , givenColumnSums(index(modelInfo.numHeads * tokensOfPrompt))
    {
        options.rowOrder = options.rowOrder || options.kind == RecordKind::Statistics;
        const std::int64_t coarsest = std::max<std::int64_t>(overview, factors.empty() ? 1 : factors.back());
        levels = levelOf(coarsest);
        heads = std::vector<HeadState>(index(model.numHeads));
    }

    /// Every per-row array that this recording holds.
    std::vector<TokenArray> rowArrayKinds() const
    {
        std::vector<TokenArray> kinds{
            TokenArray::RowLogSumExp, TokenArray::RowEntropy, TokenArray::RowSinkMass, TokenArray::RowMax};
        if (options.rowOrder) {
            kinds.insert(kinds.end(), {TokenArray::RowGini, TokenArray::RowTopMass});
        }
        return kinds;
    }
    bool keepsVectors() const { return options.kind != RecordKind::Statistics; }
    const std::vector<int>& mapHeads(int layer) const { return layerMapHeads.at(layer); }

    void storeRow(std::map<TokenArray, std::vector<float>>& arrays, std::int64_t at, const RowStatistics& row,
        std::span<const float> cells, Scratch& local) const;
    void beginPrompt(const LayerVectors& vectors, std::int64_t layerWindow, int ropeVariant);
    void writePromptVectors(const LayerVectors& vectors);
    void promptBlock(int layer, int head, std::int64_t queryBegin, std::int64_t rows,
        std::span<const float> probabilities, std::int64_t stride, std::span<const RowStatistics> statistics);
    void mapTiles(int layer, int head, std::int64_t queryBegin, std::int64_t rows, std::span<const float> probabilities,
        std::int64_t stride, Scratch& local);
    void pyramidRows(int layer, int head, std::int64_t queryBegin, Scratch& local);
    void overviewRows(int head, std::int64_t queryBegin, Scratch& local);
    void writeBand(int layer, int head, int factor, std::int64_t tileRow, const PyramidBand& band, Scratch& local);
    /// body() for every row of a level that the block in `local` completes: its own rows, or, where a level is coarser
    /// than a block, the row whose last block to come it is.
    void eachPooledRow(CoarseRows& coarse, int level, std::int64_t queryBegin, const Scratch& local,
        const std::function<void(std::int64_t row, std::span<const float> maximum, std::span<const float> sum)>& body);
    void means(int level, std::int64_t row, std::span<const float> sums, std::span<float> out) const;
    void summarise(int layer, int head, const HeadSummary& summary);
    void pyramidLevel(int layer, int head, const HeadSummary::Level& level, Scratch& local);
    void endPrompt(int layer);

    void beginGenerated(const LayerVectors& vectors);
    void generatedRow(
        int layer, int head, std::int64_t query, std::span<const float> probabilities, const RowStatistics& statistics);
    void endGenerated(int layer);
    void flushGenerated(int layer);

    SampleWriter& writer;
    const ModelInfo& model;
    std::int64_t promptTokens;
    std::int64_t maximumTokens;
    Options options;
    std::vector<int> factors;
    std::int64_t overview;
    std::int64_t edge;
    int levels = 0;

    tbb::enumerable_thread_specific<Scratch> scratch;
    std::vector<HeadState> heads;
    std::map<int, std::vector<int>> layerMapHeads;

    // The layer in hand.
    std::int64_t window = 0;
    bool prompt = true;
    std::int64_t position = 0;
    std::map<TokenArray, std::vector<float>> rowArrays; // [heads, P]
    std::vector<float> tail; // [heads, W, P]
    std::int64_t tailRows = 0;
    std::vector<Half> overviewMaximum; // [heads, edge, edge]
    std::vector<Half> overviewMean;

    std::vector<GeneratedRun> generated;
    std::vector<Half> decodeRow; // [map heads, position + 1]
    // Rows held back for `last:N`, by generated index.
    std::vector<std::deque<std::pair<std::int64_t, std::vector<Half>>>> heldRows;
    BlockColumnSums columnSums; // of the layer in hand
    std::vector<float> givenColumnSums; // [heads, P] of the heads that came as summaries
    std::vector<char> isSummarised; // [heads]
};

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

void AttentionRecorder::State::summarise(int layer, int head, const HeadSummary& summary)
{
    const std::int64_t base = head * promptTokens;
    const auto rows = [&](TokenArray array, std::span<const float> values) {
        if (std::ssize(values) != promptTokens) {
            throw RecordingError(fmt::format("layer {} head {}: {} of {} tokens, expected {}", layer, head,
                tokenArrayName(array), values.size(), promptTokens));
        }
        return values;
    };
    for (const auto& [array, values] :
        {std::pair{TokenArray::RowLogSumExp, summary.logSumExp}, std::pair{TokenArray::RowEntropy, summary.entropy},
            std::pair{TokenArray::RowSinkMass, summary.sinkMass}, std::pair{TokenArray::RowMax, summary.maximum}}) {
        std::ranges::copy(rows(array, values), rowArrays.at(array).begin() + base);
    }
    std::ranges::copy(rows(TokenArray::ColumnSum, summary.columnSums), givenColumnSums.begin() + base);
    Scratch& local = scratch.local();
    for (const HeadSummary::Level& level : summary.levels) {
        const auto cells = index((promptTokens + level.factor - 1) / level.factor);
        if (level.maximum.size() != cells * cells || level.mean.size() != cells * cells) {
            throw RecordingError(fmt::format("layer {} head {}: level {} has {} and {} cells, expected {}", layer, head,
                level.factor, level.maximum.size(), level.mean.size(), cells * cells));
        }
        if (level.factor == overview) {
            std::ranges::copy(level.maximum, overviewMaximum.begin() + head * edge * edge);
            std::ranges::copy(level.mean, overviewMean.begin() + head * edge * edge);
        }
        if (std::ranges::find(factors, level.factor) != factors.end()) {
            pyramidLevel(layer, head, level, local);
        }
    }
    isSummarised[index(head)] = 1;
}

void AttentionRecorder::State::pyramidLevel(int layer, int head, const HeadSummary::Level& level, Scratch& local)
{
    const std::int64_t levelEdge = (promptTokens + level.factor - 1) / level.factor;
    for (std::int64_t row = 0; row < levelEdge; row += tileSize) {
        PyramidBand band;
        band.rows = std::min(tileSize, levelEdge - row);
        band.columns = std::min(levelEdge, row + tileSize);
        for (std::int64_t r = row; r < row + band.rows; ++r) {
            const auto maxima = level.maximum.subspan(index(r * levelEdge), index(band.columns));
            const auto means = level.mean.subspan(index(r * levelEdge), index(band.columns));
            band.maximum.insert(band.maximum.end(), maxima.begin(), maxima.end());
            band.mean.insert(band.mean.end(), means.begin(), means.end());
        }
        writeBand(layer, head, static_cast<int>(level.factor), row / tileSize, band, local);
    }
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

void AttentionRecorder::State::beginGenerated(const LayerVectors& vectors)
{
    GeneratedRun& run = generated[index(vectors.layer)];
    if (run.tokens == 0) {
        run.tokenBegin = vectors.tokenBegin;
    }
    if (vectors.tokens != 1 || vectors.tokenBegin != run.tokenBegin + run.tokens
        || vectors.tokenBegin >= maximumTokens) {
        throw RecordingError(
            fmt::format("layer {}: generated tokens {} to {}, expected token {} alone, below {}", vectors.layer,
                vectors.tokenBegin, vectors.tokenBegin + vectors.tokens, run.tokenBegin + run.tokens, maximumTokens));
    }
    ++run.tokens;
    const auto append = [](std::vector<float>& to, std::span<const float> values) {
        to.insert(to.end(), values.begin(), values.end());
    };
    if (keepsVectors()) {
        append(run.vectors[VectorArray::Queries], vectors.queries);
        append(run.vectors[VectorArray::Keys], vectors.keys);
        append(run.vectors[VectorArray::Values], vectors.values);
    }
    append(run.arrays[TokenArray::KeyNorm], euclideanNorms(vectors.keys, model.headDim));
    append(run.arrays[TokenArray::ValueNorm], euclideanNorms(vectors.values, model.headDim));
    if (!vectors.outputValueNorms.empty()) {
        append(run.arrays[TokenArray::OutputValueNorm1], vectors.outputValueNorms);
    }
    for (const TokenArray array : rowArrayKinds()) {
        run.arrays[array].resize(index(run.tokens * model.numHeads * valuesPerRow(array)));
    }
    position = vectors.tokenBegin;
    decodeRow.assign(mapHeads(vectors.layer).size() * index(position + 1), 0);
}

void AttentionRecorder::State::generatedRow(
    int layer, int head, std::int64_t query, std::span<const float> probabilities, const RowStatistics& statistics)
{
    GeneratedRun& run = generated[index(layer)];
    const std::int64_t at = (query - run.tokenBegin) * model.numHeads + head;
    storeRow(run.arrays, at, statistics, probabilities.first(index(query + 1)), scratch.local());
    const auto& maps = mapHeads(layer);
    const auto found = std::lower_bound(maps.begin(), maps.end(), head);
    if (found != maps.end() && *found == head) {
        const auto length = index(query + 1);
        floatsToHalves(
            probabilities.first(length), std::span(decodeRow).subspan(index(found - maps.begin()) * length, length));
    }
}

void AttentionRecorder::State::endGenerated(int layer)
{
    if (!decodeRow.empty() && options.decodeRows != 0) {
        const std::int64_t generatedIndex = position - promptTokens;
        if (options.decodeRows < 0) {
            writer.writeDecodeRow(layer, generatedIndex, std::move(decodeRow));
        } else {
            auto& held = heldRows[index(layer)];
            held.emplace_back(generatedIndex, std::move(decodeRow));
            if (std::ssize(held) > options.decodeRows) {
                held.pop_front();
            }
        }
    }
    decodeRow.clear();
    if (generated[index(layer)].tokens >= flushTokens) {
        flushGenerated(layer);
    }
}

void AttentionRecorder::State::flushGenerated(int layer)
{
    GeneratedRun& run = generated[index(layer)];
    if (run.tokens == 0) {
        return;
    }
    for (const auto& [array, values] : run.arrays) {
        writer.write(layer, array, run.tokenBegin, run.tokens, headsFirst(values, run.tokens, valuesPerRow(array)));
    }
    for (const auto& [array, values] : run.vectors) {
        writer.writeVectors(layer, array, run.tokenBegin, run.tokens, headsFirst(values, run.tokens, model.headDim));
    }
    run = {};
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
