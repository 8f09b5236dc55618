// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/replay/attention_tiles.h"

#include "core/recording/tile_pyramid.h"
#include "core/replay/byte_bound_cache.h"

#include <fmt/format.h>
#include <tbb/enumerable_thread_specific.h>
#include <tbb/parallel_for.h>

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <span>
#include <tuple>
#include <utility>

namespace kvloupe {

namespace {

constexpr int blockLevels = 8; ///< 2^8 rows are one block: what BlockPyramid pools at once
constexpr std::int64_t stripColumns = 2048; ///< of queries and keys computed at once, 2 MB of cells
constexpr std::int64_t tileCells = tileSize * tileSize;

std::size_t index(std::int64_t value)
{
    return static_cast<std::size_t>(value);
}

std::int64_t dividedUp(std::int64_t value, std::int64_t divisor)
{
    return (value + divisor - 1) / divisor;
}

std::int64_t roundUpToPanel(std::int64_t keys)
{
    return dividedUp(keys, PackedKeys::panelKeys) * PackedKeys::panelKeys;
}

/// Maximum and sum of the cells behind each cell of one tile.
struct PooledTile {
    std::vector<float> maximum = std::vector<float>(index(tileCells));
    std::vector<float> sum = std::vector<float>(index(tileCells));

    /// Adds the pooled rows of a block whose first cell, at `level`, is (row, column) of this tile's own level less
    /// `shift` further levels.
    void add(const BlockPyramid& block, int level, std::int64_t row, std::int64_t column, int shift)
    {
        for (std::int64_t r = 0; r < block.rows(level); ++r) {
            addRow(block.maximum(level, r), block.sum(level, r), row + r, column, shift);
        }
    }

    void addRow(
        std::span<const float> maxima, std::span<const float> sums, std::int64_t row, std::int64_t column, int shift)
    {
        const std::int64_t line = (row >> shift) * tileSize;
        for (std::int64_t c = 0; c < std::ssize(maxima); ++c) {
            const std::size_t at = index(line + ((column + c) >> shift));
            maximum[at] = std::max(maximum[at], maxima[index(c)]);
            sum[at] += sums[index(c)];
        }
    }
};

using HeadKey = std::tuple<int, int, int>; // sample, layer, head

} // namespace

struct AttentionTiles::State {
    State(const Recording& source, std::size_t cacheBytes)
        : recording(&source)
        , queries(cacheBytes / 8 * 3)
        , keys(cacheBytes / 8 * 3)
        , rowSums(cacheBytes / 8)
        , tiles(cacheBytes / 8)
    {
    }

    bool hasMap(int sample, int layer, int head) const;
    bool hasVectors(int sample, int layer) const;
    /// Largest stored level <= `level`, -1 if nothing is stored (level 0 is the map).
    int storedLevel(const TileKey& key) const;
    void readStored(const TileKey& key, int level, std::int64_t row, std::int64_t column, std::span<Half> out) const;

    AttentionShape shape(int sample, int layer) const;
    std::shared_ptr<const std::vector<float>> headQueries(int sample, int layer, int head);
    std::shared_ptr<const PackedKeys> headKeys(int sample, int layer, int head);
    /// [heads, T]
    std::shared_ptr<const std::vector<float>> logSumExps(int sample, int layer);
    std::span<const float> headLogSumExps(std::span<const float> all, int sample, int head) const;

    std::vector<Half> computeBase(const TileKey& key);
    std::vector<Half> pooled(const TileKey& key);
    /// A tile of the prompt, whose row and column exist.
    std::vector<Half> promptTile(const TileKey& key);
    /// A tile of all tokens: that of the prompt with the rows of generated queries.
    std::vector<Half> wholeTile(const TileKey& key);
    std::vector<float> block(int sample, int layer, int head, TokenRange rows, TokenRange columns);
    PooledTile poolStored(const TileKey& key, int source) const;
    PooledTile poolVectors(const TileKey& key);
    /// Whether rows [rowBegin, rowEnd) have any cell in columns [columnBegin, columnEnd).
    bool visible(const TileKey& key, std::int64_t rowBegin, std::int64_t rowEnd, std::int64_t columnBegin,
        std::int64_t columnEnd) const;

    const Recording* recording;
    ByteBoundCache<HeadKey, std::vector<float>> queries;
    ByteBoundCache<HeadKey, PackedKeys> keys;
    ByteBoundCache<std::pair<int, int>, std::vector<float>> rowSums;
    ByteBoundCache<TileKey, std::vector<Half>> tiles;
};

bool AttentionTiles::State::hasMap(int sample, int layer, int head) const
{
    return std::ranges::binary_search(recording->layer(sample, layer).mapHeads, head);
}

bool AttentionTiles::State::hasVectors(int sample, int layer) const
{
    return recording->layer(sample, layer).hasQueriesKeys && recording->has(sample, layer, TokenArray::RowLogSumExp);
}

int AttentionTiles::State::storedLevel(const TileKey& key) const
{
    for (int level = key.level; level > 0; --level) {
        if (level < 31
            && std::ranges::binary_search(recording->layer(key.sample, key.layer).pyramidFactors, 1 << level)) {
            return level;
        }
    }
    return hasMap(key.sample, key.layer, key.head) ? 0 : -1;
}

void AttentionTiles::State::readStored(
    const TileKey& key, int level, std::int64_t row, std::int64_t column, std::span<Half> out) const
{
    if (level == 0) {
        recording->readMapTile(key.sample, key.layer, key.head, row, column, out);
    } else {
        recording->readPyramidTile(key.sample, key.layer, key.head, 1 << level, key.pooling, row, column, out);
    }
}

AttentionShape AttentionTiles::State::shape(int sample, int layer) const
{
    return {static_cast<float>(recording->sample(sample).softmaxScale), recording->layer(sample, layer).window};
}

std::shared_ptr<const std::vector<float>> AttentionTiles::State::headQueries(int sample, int layer, int head)
{
    const HeadKey key{sample, layer, head};
    if (auto found = queries.find(key)) {
        return found;
    }
    const std::int64_t tokens = recording->sample(sample).totalTokens;
    auto vectors = std::make_shared<std::vector<float>>(index(tokens * recording->model().headDim));
    recording->readVectors(sample, layer, VectorArray::Queries, head, 0, tokens, *vectors);
    queries.insert(key, vectors, vectors->size() * sizeof(float));
    return vectors;
}

std::shared_ptr<const PackedKeys> AttentionTiles::State::headKeys(int sample, int layer, int head)
{
    const int kvHead = head / recording->model().groupSize();
    const HeadKey key{sample, layer, kvHead};
    if (auto found = keys.find(key)) {
        return found;
    }
    const std::int64_t tokens = recording->sample(sample).totalTokens;
    const int headDim = recording->model().headDim;
    auto packed = std::make_shared<PackedKeys>(headDim);
    std::vector<float> part(index(std::min(tokens, vectorChunkTokens) * headDim));
    for (std::int64_t begin = 0; begin < tokens; begin += vectorChunkTokens) {
        const std::int64_t end = std::min(tokens, begin + vectorChunkTokens);
        const auto vectors = std::span(part).first(index((end - begin) * headDim));
        recording->readVectors(sample, layer, VectorArray::Keys, kvHead, begin, end, vectors);
        packed->append(vectors);
    }
    keys.insert(key, packed, index(roundUpToPanel(tokens) * headDim) * sizeof(float));
    return packed;
}

std::shared_ptr<const std::vector<float>> AttentionTiles::State::logSumExps(int sample, int layer)
{
    const std::pair key{sample, layer};
    if (auto found = rowSums.find(key)) {
        return found;
    }
    auto values = std::make_shared<std::vector<float>>(recording->read(sample, layer, TokenArray::RowLogSumExp));
    rowSums.insert(key, values, values->size() * sizeof(float));
    return values;
}

std::span<const float> AttentionTiles::State::headLogSumExps(std::span<const float> all, int sample, int head) const
{
    const std::int64_t tokens = recording->sample(sample).totalTokens;
    return all.subspan(index(head * tokens), index(tokens));
}

bool AttentionTiles::State::visible(const TileKey& key, std::int64_t rowBegin, std::int64_t rowEnd,
    std::int64_t columnBegin, std::int64_t columnEnd) const
{
    const std::int64_t window = recording->layer(key.sample, key.layer).window;
    return columnBegin < rowEnd && (window == 0 || columnEnd > rowBegin - window + 1);
}

std::vector<Half> AttentionTiles::State::computeBase(const TileKey& key)
{
    const std::int64_t prompt = recording->sample(key.sample).promptTokens;
    const TokenRange rows{key.row * tileSize, std::min(prompt, (key.row + 1) * tileSize)};
    const TokenRange columns{key.column * tileSize, std::min(prompt, (key.column + 1) * tileSize)};
    std::vector<Half> out(index(tileCells), 0);
    if (!visible(key, rows.begin, rows.end, columns.begin, columns.end)) {
        return out;
    }
    const std::vector<float> cells = block(key.sample, key.layer, key.head, rows, columns);
    for (std::int64_t r = 0; r < rows.size(); ++r) {
        floatsToHalves(std::span(cells).subspan(index(r * columns.size()), index(columns.size())),
            std::span(out).subspan(index(r * tileSize), index(columns.size())));
    }
    return out;
}

PooledTile AttentionTiles::State::poolStored(const TileKey& key, int source) const
{
    const std::int64_t prompt = recording->sample(key.sample).promptTokens;
    const std::int64_t window = recording->layer(key.sample, key.layer).window;
    const std::int64_t factor = std::int64_t{1} << source;
    const std::int64_t edge = dividedUp(prompt, factor);
    const std::int64_t sourceTiles = dividedUp(edge, tileSize);
    const int levels = key.level - source;
    const int inBlock = std::min(levels, blockLevels);
    const std::int64_t span = std::int64_t{1} << levels;

    PooledTile result;
    std::vector<Half> halves(index(tileCells));
    std::vector<float> values(index(tileCells));
    BlockPyramid block;
    const std::int64_t rowEnd = std::min(sourceTiles, (key.row + 1) * span);
    const std::int64_t columnEnd = std::min(sourceTiles, (key.column + 1) * span);
    for (std::int64_t row = key.row * span; row < rowEnd; ++row) {
        for (std::int64_t column = key.column * span; column < columnEnd; ++column) {
            const std::int64_t tileCellsEdge = tileSize * factor;
            if (!visible(key, row * tileCellsEdge, std::min(prompt, (row + 1) * tileCellsEdge), column * tileCellsEdge,
                    (column + 1) * tileCellsEdge)) {
                continue;
            }
            readStored(key, source, row, column, halves);
            halvesToFloats(halves, values);
            if (source > 0 && key.pooling == Pooling::Mean) {
                for (std::int64_t r = 0; r < std::min(tileSize, edge - row * tileSize); ++r) {
                    for (std::int64_t c = 0; c < std::min(tileSize, edge - column * tileSize); ++c) {
                        float& value = values[index(r * tileSize + c)];
                        if (value != 0.0F) {
                            value *= static_cast<float>(
                                causalCells(row * tileSize + r, column * tileSize + c, factor, prompt, window));
                        }
                    }
                }
            }
            const std::int64_t shift = levels - inBlock;
            block.build(values, tileSize, tileSize, tileSize, inBlock);
            result.add(block, inBlock, ((row - key.row * span) * tileSize) >> inBlock,
                ((column - key.column * span) * tileSize) >> inBlock, static_cast<int>(shift));
        }
    }
    return result;
}

PooledTile AttentionTiles::State::poolVectors(const TileKey& key)
{
    const std::int64_t prompt = recording->sample(key.sample).promptTokens;
    const int headDim = recording->model().headDim;
    const std::int64_t factor = std::int64_t{1} << key.level;
    const std::int64_t rowBegin = key.row * tileSize * factor;
    const std::int64_t rowEnd = std::min(prompt, rowBegin + tileSize * factor);
    const std::int64_t columnBegin = key.column * tileSize * factor;
    const std::int64_t columnEnd = std::min(prompt, columnBegin + tileSize * factor);
    const int inBlock = std::min(key.level, blockLevels);
    const AttentionShape geometry = shape(key.sample, key.layer);
    const auto headQ = headQueries(key.sample, key.layer, key.head);
    const auto headK = headKeys(key.sample, key.layer, key.head);
    const auto all = logSumExps(key.sample, key.layer);
    const auto lse = headLogSumExps(*all, key.sample, key.head);

    struct Scratch {
        std::vector<float> cells = std::vector<float>(index(tileSize * stripColumns));
        BlockPyramid block;
    };
    tbb::enumerable_thread_specific<Scratch> scratch;
    PooledTile result;
    const auto poolBlock = [&](std::int64_t blockBegin, Scratch& local) {
        const std::int64_t rows = std::min(tileSize, rowEnd - blockBegin);
        for (std::int64_t strip = columnBegin; strip < columnEnd; strip += stripColumns) {
            const std::int64_t end = std::min({columnEnd, strip + stripColumns, blockBegin + rows});
            if (end <= strip || !visible(key, blockBegin, blockBegin + rows, strip, end)) {
                continue;
            }
            const std::int64_t columns = roundUpToPanel(end) - strip;
            const auto cells = std::span(local.cells).first(index(rows * columns));
            attention_rows::tile(std::span(*headQ).subspan(index(blockBegin * headDim), index(rows * headDim)), *headK,
                blockBegin, rows, strip, columns, geometry, lse.subspan(index(blockBegin), index(rows)), cells);
            local.block.build(cells, rows, columns, columns, inBlock);
            result.add(local.block, inBlock, (blockBegin - rowBegin) >> inBlock, (strip - columnBegin) >> inBlock,
                key.level - inBlock);
        }
    };
    // A unit of work fills whole rows of the tile, so that no two threads write the same one.
    const std::int64_t unit = std::max(tileSize, factor);
    tbb::parallel_for(
        std::int64_t{0}, dividedUp(std::max<std::int64_t>(0, rowEnd - rowBegin), unit), [&](std::int64_t number) {
            const std::int64_t begin = rowBegin + number * unit;
            for (std::int64_t block = begin; block < std::min(rowEnd, begin + unit); block += tileSize) {
                poolBlock(block, scratch.local());
            }
        });
    return result;
}

std::vector<Half> AttentionTiles::State::pooled(const TileKey& key)
{
    if (const auto found = tiles.find(key)) {
        return *found;
    }
    const std::int64_t prompt = recording->sample(key.sample).promptTokens;
    const std::int64_t window = recording->layer(key.sample, key.layer).window;
    const int source = storedLevel(key);
    const PooledTile cells = source >= 0 ? poolStored(key, source) : poolVectors(key);

    const auto keep = [&](Pooling pooling, std::vector<Half> tile) {
        TileKey kept = key;
        kept.pooling = pooling;
        tiles.insert(kept, std::make_shared<std::vector<Half>>(std::move(tile)), index(tileCells) * sizeof(Half));
    };
    const auto maxima = [&] {
        std::vector<Half> tile(index(tileCells));
        floatsToHalves(cells.maximum, tile);
        return tile;
    };
    const auto means = [&] {
        std::vector<float> values(index(tileCells), 0.0F);
        const std::int64_t edge = dividedUp(prompt, std::int64_t{1} << key.level);
        for (std::int64_t r = 0; r < std::min(tileSize, edge - key.row * tileSize); ++r) {
            for (std::int64_t c = 0; c < std::min(tileSize, edge - key.column * tileSize); ++c) {
                const std::size_t at = index(r * tileSize + c);
                if (cells.sum[at] != 0.0F) {
                    values[at] = cells.sum[at]
                        / static_cast<float>(causalCells(key.row * tileSize + r, key.column * tileSize + c,
                            std::int64_t{1} << key.level, prompt, window));
                }
            }
        }
        std::vector<Half> tile(index(tileCells));
        floatsToHalves(values, tile);
        return tile;
    };
    std::vector<Half> result = key.pooling == Pooling::Max ? maxima() : means();
    if (source <= 0) {
        // Both poolings came from the same cells; the other one is often asked for next.
        const bool isMax = key.pooling == Pooling::Max;
        keep(isMax ? Pooling::Mean : Pooling::Max, isMax ? means() : maxima());
    }
    keep(key.pooling, result);
    return result;
}

AttentionTiles::AttentionTiles(const Recording& recording, std::size_t cacheBytes)
    : m_state(std::make_unique<State>(recording, cacheBytes))
{
}

AttentionTiles::~AttentionTiles() = default;

bool AttentionTiles::available(int sample, int layer, int head) const
{
    const auto layers = m_state->recording->layers(sample);
    return head >= 0 && head < m_state->recording->model().numHeads && std::ranges::binary_search(layers, layer)
        && (m_state->hasMap(sample, layer, head) || m_state->hasVectors(sample, layer));
}

int AttentionTiles::coarsestLevel(int sample) const
{
    const std::int64_t prompt = m_state->recording->sample(sample).promptTokens;
    int level = 0;
    while (dividedUp(prompt, std::int64_t{1} << level) > tileSize) {
        ++level;
    }
    return level;
}

std::vector<Half> AttentionTiles::State::promptTile(const TileKey& key)
{
    const int stored = storedLevel(key);
    if (key.column > key.row) {
        return std::vector<Half>(index(tileCells), 0);
    }
    if (stored == key.level) {
        std::vector<Half> tile(index(tileCells));
        readStored(key, key.level, key.row, key.column, tile);
        return tile;
    }
    if (stored < 0 && !hasVectors(key.sample, key.layer)) {
        throw RecordingError(
            fmt::format("{}: sample {} layer {} head {}: neither its map nor its queries and keys were "
                        "recorded at level {}",
                recording->path().string(), key.sample, key.layer, key.head, key.level));
    }
    return key.level == 0 ? computeBase(key) : pooled(key);
}

std::vector<Half> AttentionTiles::State::wholeTile(const TileKey& key)
{
    if (const auto found = tiles.find(key)) {
        return *found;
    }
    const std::int64_t prompt = recording->sample(key.sample).promptTokens;
    const std::int64_t total = recording->sample(key.sample).totalTokens;
    const std::int64_t window = recording->layer(key.sample, key.layer).window;
    const std::int64_t factor = std::int64_t{1} << key.level;
    TileKey promptKey = key;
    promptKey.extent = MapExtent::Prompt;
    const std::int64_t promptTiles = dividedUp(dividedUp(prompt, factor), tileSize);
    std::vector<Half> tile = key.row < promptTiles && key.column < promptTiles ? promptTile(promptKey)
                                                                               : std::vector<Half>(index(tileCells), 0);

    const std::int64_t tileBegin = key.row * tileSize * factor;
    const TokenRange rows{std::max(prompt, tileBegin), std::min(total, tileBegin + tileSize * factor)};
    const std::int64_t columnBegin = key.column * tileSize * factor;
    const std::int64_t columnEnd = std::min({total, columnBegin + tileSize * factor, rows.end});
    if (rows.size() <= 0 || columnBegin >= columnEnd) {
        return tile;
    }
    PooledTile generated;
    for (std::int64_t begin = rows.begin; begin < rows.end; begin += tileSize) {
        const TokenRange part{begin, std::min(rows.end, begin + tileSize)};
        for (std::int64_t strip = columnBegin; strip < columnEnd; strip += stripColumns) {
            const TokenRange columns{strip, std::min(columnEnd, strip + stripColumns)};
            const std::vector<float> cells = block(key.sample, key.layer, key.head, part, columns);
            for (std::int64_t r = 0; !cells.empty() && r < part.size(); ++r) {
                const auto line = std::span(cells).subspan(index(r * columns.size()), index(columns.size()));
                generated.addRow(line, line, begin + r - tileBegin, strip - columnBegin, key.level);
            }
        }
    }
    const std::int64_t lastColumn = ((columnEnd - 1) >> key.level) - key.column * tileSize;
    for (std::int64_t r = (rows.begin - tileBegin) >> key.level; r <= (rows.end - 1 - tileBegin) >> key.level; ++r) {
        for (std::int64_t c = 0; c <= lastColumn; ++c) {
            const std::size_t at = index(r * tileSize + c);
            const float before = halfToFloat(tile[at]);
            if (key.level == 0 || key.pooling == Pooling::Max) {
                tile[at] = floatToHalf(std::max(before, generated.maximum[at]));
                continue;
            }
            const std::int64_t row = key.row * tileSize + r;
            const std::int64_t column = key.column * tileSize + c;
            const auto cells = static_cast<float>(causalCells(row, column, factor, total, window));
            const auto cellsBefore = static_cast<float>(causalCells(row, column, factor, prompt, window));
            tile[at] = cells > 0.0F ? floatToHalf((before * cellsBefore + generated.sum[at]) / cells) : Half{0};
        }
    }
    if (key.level > 0) {
        tiles.insert(key, std::make_shared<std::vector<Half>>(tile), index(tileCells) * sizeof(Half));
    }
    return tile;
}

std::vector<float> AttentionTiles::State::block(int sample, int layer, int head, TokenRange rows, TokenRange columns)
{
    const SampleInfo& info = recording->sample(sample);
    if (rows.begin < 0 || columns.begin < 0 || rows.end > info.totalTokens || columns.end > info.totalTokens
        || rows.size() <= 0 || columns.size() <= 0) {
        throw RecordingError(fmt::format("{}: sample {} has no cells [{}, {}) x [{}, {}), only {} tokens",
            recording->path().string(), sample, rows.begin, rows.end, columns.begin, columns.end, info.totalTokens));
    }
    std::vector<float> result;
    const auto line = [&](std::int64_t query, TokenRange part) {
        return std::span(result).subspan(
            index((query - rows.begin) * columns.size() + part.begin - columns.begin), index(part.size()));
    };
    if (hasVectors(sample, layer)) {
        result.assign(index(rows.size() * columns.size()), 0.0F);
        const TokenRange existing{columns.begin, std::min(columns.end, rows.end)};
        if (existing.size() <= 0) {
            return result;
        }
        const std::int64_t headDim = recording->model().headDim;
        const auto headQ = headQueries(sample, layer, head);
        const auto headK = headKeys(sample, layer, head);
        const auto lse = logSumExps(sample, layer);
        const std::int64_t first = existing.begin / PackedKeys::panelKeys * PackedKeys::panelKeys;
        const std::int64_t width = roundUpToPanel(existing.end) - first;
        std::vector<float> cells(index(rows.size() * width));
        attention_rows::tile(std::span(*headQ).subspan(index(rows.begin * headDim), index(rows.size() * headDim)),
            *headK, rows.begin, rows.size(), first, width, shape(sample, layer),
            headLogSumExps(*lse, sample, head).subspan(index(rows.begin), index(rows.size())), cells);
        for (std::int64_t query = rows.begin; query < rows.end; ++query) {
            std::ranges::copy(std::span(cells).subspan(
                                  index((query - rows.begin) * width + existing.begin - first), index(existing.size())),
                line(query, existing).begin());
        }
    } else if (hasMap(sample, layer, head)) {
        result.assign(index(rows.size() * columns.size()), 0.0F);
        std::vector<Half> tile(index(tileCells));
        const TokenRange ofPrompt{columns.begin, std::min(columns.end, info.promptTokens)};
        for (std::int64_t begin = rows.begin; begin < std::min(rows.end, info.promptTokens);) {
            const std::int64_t end = std::min({rows.end, info.promptTokens, (begin / tileSize + 1) * tileSize});
            for (std::int64_t column = ofPrompt.begin; column < std::min(ofPrompt.end, end);) {
                const TokenRange part{column, std::min(ofPrompt.end, (column / tileSize + 1) * tileSize)};
                recording->readMapTile(sample, layer, head, begin / tileSize, column / tileSize, tile);
                for (std::int64_t query = begin; query < end; ++query) {
                    halvesToFloats(std::span(tile).subspan(
                                       index(query % tileSize * tileSize + column % tileSize), index(part.size())),
                        line(query, part));
                }
                column = part.end;
            }
            begin = end;
        }
        for (std::int64_t query = std::max(rows.begin, info.promptTokens); query < rows.end; ++query) {
            const std::vector<Half> row = recording->readDecodeRow(sample, layer, head, query - info.promptTokens);
            if (!row.empty()) {
                halvesToFloats(
                    std::span(row).subspan(index(columns.begin), index(columns.size())), line(query, columns));
            }
        }
    }
    return result;
}

std::vector<Half> AttentionTiles::read(const TileKey& key)
{
    const SampleInfo& info = m_state->recording->sample(key.sample);
    const std::int64_t tokens = key.extent == MapExtent::Prompt ? info.promptTokens : info.totalTokens;
    constexpr int highestLevel = 24;
    const std::int64_t edge = key.level < 0 || key.level > highestLevel
        ? 0
        : dividedUp(dividedUp(tokens, std::int64_t{1} << key.level), tileSize);
    if (key.row < 0 || key.row >= edge || key.column < 0 || key.column >= edge) {
        throw RecordingError(fmt::format("{}: sample {} has no tile ({}, {}) at level {}",
            m_state->recording->path().string(), key.sample, key.row, key.column, key.level));
    }
    return key.extent == MapExtent::Prompt ? m_state->promptTile(key) : m_state->wholeTile(key);
}

std::vector<float> AttentionTiles::block(int sample, int layer, int head, TokenRange queries, TokenRange keys)
{
    return m_state->block(sample, layer, head, queries, keys);
}

float AttentionTiles::cell(int sample, int layer, int head, std::int64_t query, std::int64_t key)
{
    const SampleInfo& info = m_state->recording->sample(sample);
    const AttentionShape shape = m_state->shape(sample, layer);
    if (key > query || (shape.window > 0 && key <= query - shape.window)) {
        return 0.0F;
    }
    if (key < 0 || query >= info.totalTokens) {
        return std::numeric_limits<float>::quiet_NaN();
    }
    if (m_state->hasVectors(sample, layer)) {
        // One query and the sixteen keys around the cell: the kernels give the same bits however little they compute.
        const int headDim = m_state->recording->model().headDim;
        const std::int64_t keyBegin = key / PackedKeys::panelKeys * PackedKeys::panelKeys;
        const std::int64_t keyEnd = std::min(keyBegin + PackedKeys::panelKeys, info.totalTokens);
        std::vector<float> queryVector(index(headDim));
        m_state->recording->readVectors(sample, layer, VectorArray::Queries, head, query, query + 1, queryVector);
        std::vector<float> keyVectors(index((keyEnd - keyBegin) * headDim));
        m_state->recording->readVectors(sample, layer, VectorArray::Keys,
            head / m_state->recording->model().groupSize(), keyBegin, keyEnd, keyVectors);
        const auto all = m_state->logSumExps(sample, layer);
        const auto lse = m_state->headLogSumExps(*all, sample, head).subspan(index(query), 1);
        std::array<float, PackedKeys::panelKeys> cells{};
        attention_rows::tile(queryVector, PackedKeys(keyVectors, headDim), query - keyBegin, 1, 0,
            PackedKeys::panelKeys, shape, lse, cells);
        return cells[index(key - keyBegin)];
    }
    if (m_state->hasMap(sample, layer, head)) {
        if (query < info.promptTokens
            || !m_state->recording->readDecodeRow(sample, layer, head, query - info.promptTokens).empty()) {
            return block(sample, layer, head, {query, query + 1}, {key, key + 1}).front();
        }
    }
    return std::numeric_limits<float>::quiet_NaN();
}

std::vector<float> AttentionTiles::row(int sample, int layer, int head, std::int64_t query)
{
    const SampleInfo& info = m_state->recording->sample(sample);
    return block(
        sample, layer, head, {query, query + 1}, {0, query < info.promptTokens ? info.promptTokens : info.totalTokens});
}

} // namespace kvloupe
