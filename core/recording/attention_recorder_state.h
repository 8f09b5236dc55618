// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/attention/block_column_sums.h"
#include "core/recording/attention_recorder.h"
#include "core/recording/chunk_codec.h"
#include "core/recording/coarse_rows.h"
#include "core/recording/recording.h"
#include "core/recording/row_order.h"
#include "core/recording/tile_pyramid.h"

#include <tbb/enumerable_thread_specific.h>

#include <algorithm>
#include <bit>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

/// What the parts of AttentionRecorder share: rows of a prompt, summaries of heads, generated tokens.
namespace kvloupe {

inline std::size_t index(std::int64_t value)
{
    return static_cast<std::size_t>(value);
}

/// Level of a pooling factor: 2^level = factor.
inline int levelOf(std::int64_t factor)
{
    return std::countr_zero(static_cast<std::uint64_t>(factor));
}

/// Values per token and head.
inline std::int64_t valuesPerRow(TokenArray array)
{
    return array == TokenArray::RowTopMass ? std::int64_t{RowOrder::topCounts.size()} : 1;
}

struct AttentionRecorder::State {
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

} // namespace kvloupe
