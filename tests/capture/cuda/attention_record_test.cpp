// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/cuda/attention_record_block.h"
#include "core/attention/attention_rows.h"
#include "host_warp.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace kvloupe::cuda {
namespace {

std::size_t at(std::int64_t value)
{
    return static_cast<std::size_t>(value);
}

struct Shape {
    int heads = 2;
    int kvHeads = 1;
    int rows = 0;
    int past = 0;
    int window = 0;
    int poolFactor = 16;
    bool maps = false;

    int keys() const { return past + rows; }
    int edge() const { return (keys() + poolFactor - 1) / poolFactor; }
};

/// Queries, keys and values in token-major order, [tokens, heads, head_dim], as a projection leaves them.
template <typename Element> struct Vectors {
    Vectors(const Shape& shape, int dim, std::uint64_t seed)
    {
        std::mt19937_64 random(seed);
        std::normal_distribution<float> normal(0.0F, 1.5F);
        const auto fill = [&](std::vector<Element>& array, int tokens, int heads) {
            array.resize(at(std::int64_t{tokens} * heads * dim));
            for (Element& x : array)
                x = fromFloat<Element>(normal(random));
        };
        fill(queries, shape.rows, shape.heads);
        fill(keys, shape.keys(), shape.kvHeads);
        fill(values, shape.keys(), shape.kvHeads);
        // A sink, as models have one, so that rows are not flat.
        for (int d = 0; d < dim; ++d)
            keys[at(d)] = fromFloat<Element>(widen(keys[at(d)]) * 2.0F);
    }

    std::vector<Element> queries;
    std::vector<Element> keys;
    std::vector<Element> values;
};

constexpr float poison = -12345.0F;

template <typename Element> struct Result {
    std::vector<Element> context; // [rows, heads, dim]
    std::vector<float> logSumExp; // [heads, rows], and so the next three
    std::vector<float> entropy;
    std::vector<float> sinkMass;
    std::vector<float> maximum;
    std::vector<float> columnSums; // [heads, keys]
    std::vector<float> pooledMaximum; // [heads, edge, edge]
    std::vector<float> pooledSum;
    std::vector<std::uint16_t> tiles;
};

/// Runs the very program of the device.
template <typename Element, int dim>
Result<Element> record(const Shape& shape, const Vectors<Element>& vectors, bool backwards = false)
{
    using Tiling = AttentionTiling<Element, dim>;
    AttentionInput<Element> input;
    input.queries = vectors.queries.data();
    input.keys = vectors.keys.data();
    input.values = vectors.values.data();
    input.queryHeadStride = input.keyHeadStride = input.valueHeadStride = dim;
    input.queryRowStride = std::int64_t{shape.heads} * dim;
    input.keyRowStride = input.valueRowStride = std::int64_t{shape.kvHeads} * dim;
    input.rows = shape.rows;
    input.past = shape.past;
    input.window = shape.window;
    input.headsPerKvHead = shape.heads / shape.kvHeads;
    input.scale = 1.0F / std::sqrt(static_cast<float>(dim));

    const auto perRow = at(std::int64_t{shape.heads} * shape.rows);
    Result<Element> result;
    result.context.assign(perRow * dim, fromFloat<Element>(poison));
    result.logSumExp.assign(perRow, poison);
    result.entropy = result.sinkMass = result.maximum = result.logSumExp;
    result.columnSums.assign(at(std::int64_t{shape.heads} * shape.keys()), poison);
    result.pooledMaximum.assign(at(std::int64_t{shape.heads} * shape.edge() * shape.edge()), poison);
    result.pooledSum = result.pooledMaximum;

    AttentionOutput<Element> output;
    output.context = result.context.data();
    output.contextHeadStride = dim;
    output.contextRowStride = std::int64_t{shape.heads} * dim;
    output.logSumExp = result.logSumExp.data();
    output.entropy = result.entropy.data();
    output.sinkMass = result.sinkMass.data();
    output.maximum = result.maximum.data();
    output.blocks = (shape.rows + Tiling::blockRows - 1) / Tiling::blockRows;
    std::vector<float> parts(at(std::int64_t{shape.heads} * output.blocks * shape.keys()), poison);
    output.columnSumParts = parts.data();
    if (shape.past == 0) {
        output.pooledMaximum = result.pooledMaximum.data();
        output.pooledSum = result.pooledSum.data();
        output.poolFactor = shape.poolFactor;
    }
    if (shape.maps) {
        const int tileRows = (shape.rows + mapTileEdge - 1) / mapTileEdge;
        output.mapTilesPerHead = MapTiles(shape.window).before(tileRows);
        result.tiles.assign(at(shape.heads * output.mapTilesPerHead * mapTileEdge * mapTileEdge), 0xdead);
        output.mapTiles = result.tiles.data();
        output.blocks = tileRows * mapTileEdge / Tiling::blockRows;
    }
    runGrid<typename Tiling::Shared>({output.blocks, shape.heads, 1}, Tiling::warps, backwards,
        [&](HostWarp& warp, typename Tiling::Shared& shared) {
            AttentionBlock<HostWarp, Tiling>(warp, input, output, shared).run();
        });
    struct Nothing { };
    const ColumnSumParts sums{
        parts.data(), result.columnSums.data(), shape.rows, shape.past, shape.window, Tiling::blockRows};
    constexpr int warps = 2;
    const int grid = (shape.keys() + warps * warpLanes - 1) / (warps * warpLanes);
    runGrid<Nothing>(
        {grid, shape.heads, 1}, warps, backwards, [&](HostWarp& warp, Nothing&) { addColumnSumParts(warp, sums); });
    return result;
}

/// The definition, in double and with whole rows.
struct Definition {
    template <typename Element> Definition(const Shape& shape, int dim, const Vectors<Element>& vectors)
    {
        const int n = shape.keys();
        const double scale = static_cast<double>(1.0F / std::sqrt(static_cast<float>(dim)));
        cells.resize(at(std::int64_t{shape.heads} * shape.rows * n));
        context.resize(at(std::int64_t{shape.rows} * shape.heads * dim));
        for (int h = 0; h < shape.heads; ++h) {
            const int kvHead = h / (shape.heads / shape.kvHeads);
            for (int r = 0; r < shape.rows; ++r) {
                const int position = shape.past + r;
                const int first = shape.window > 0 ? std::max(0, position - shape.window + 1) : 0;
                std::vector<double> logits;
                for (int k = first; k <= position; ++k) {
                    double logit = 0.0;
                    for (int d = 0; d < dim; ++d)
                        logit += double{widen(vectors.queries[at((r * shape.heads + h) * dim + d)])}
                            * double{widen(vectors.keys[at((k * shape.kvHeads + kvHead) * dim + d)])};
                    logits.push_back(scale * logit);
                }
                const double largest = std::ranges::max(logits);
                double sum = 0.0;
                for (const double logit : logits)
                    sum += std::exp(logit - largest);
                logSumExp.push_back(largest + std::log(sum));
                double entropyOfRow = 0.0;
                double sink = 0.0;
                for (int k = first; k <= position; ++k) {
                    const double p = std::exp(logits[at(k - first)] - logSumExp.back());
                    cells[at((std::int64_t{h} * shape.rows + r) * n + k)] = p;
                    entropyOfRow -= p * (logits[at(k - first)] - logSumExp.back());
                    sink += k < 4 ? p : 0.0;
                    for (int d = 0; d < dim; ++d)
                        context[at((r * shape.heads + h) * dim + d)]
                            += p * double{widen(vectors.values[at((k * shape.kvHeads + kvHead) * dim + d)])};
                }
                entropy.push_back(entropyOfRow);
                sinkMass.push_back(sink);
                maximum.push_back(std::exp(largest - logSumExp.back()));
            }
        }
    }

    std::vector<double> cells; // [heads, rows, keys]
    std::vector<double> context;
    std::vector<double> logSumExp;
    std::vector<double> entropy;
    std::vector<double> sinkMass;
    std::vector<double> maximum;
};

template <typename A, typename B> double largestError(const A& found, const B& expected, double floor)
{
    EXPECT_EQ(found.size(), expected.size());
    double worst = 0.0;
    for (std::size_t i = 0; i < found.size(); ++i) {
        const double error = std::abs(static_cast<double>(widen(found[i])) - expected[i])
            / std::max(std::abs(static_cast<double>(expected[i])), floor);
        worst = std::isnan(error) ? std::numeric_limits<double>::infinity() : std::max(worst, error);
    }
    return worst;
}

template <typename Element, int dim> void expectDefinition(const Shape& shape)
{
    SCOPED_TRACE(testing::Message() << "head_dim " << dim << ", " << shape.rows << " rows after " << shape.past
                                    << ", window " << shape.window << ", pooled by " << shape.poolFactor);
    constexpr bool exact = std::is_same_v<Element, float>;
    // The bounds that are asked of a device, statistics relative: 1e-5 in float32, 1e-3 with 16 bits.
    const double bound = exact ? 1e-5 : 1e-3;
    const Vectors<Element> vectors(shape, dim, 7);
    const Result<Element> found = record<Element, dim>(shape, vectors);
    const Definition expected(shape, dim, vectors);

    EXPECT_LT(largestError(found.logSumExp, expected.logSumExp, 1.0), bound);
    EXPECT_LT(largestError(found.entropy, expected.entropy, 0.1), bound);
    EXPECT_LT(largestError(found.sinkMass, expected.sinkMass, 1e-6), bound);
    EXPECT_LT(largestError(found.maximum, expected.maximum, 1e-6), bound);
    const double contextBound = exact ? 1e-5 : std::is_same_v<Element, Float16> ? 2e-3 : 2e-2;
    EXPECT_LT(largestError(found.context, expected.context, 1.0), contextBound);

    const int n = shape.keys();
    std::vector<double> columnSums(at(std::int64_t{shape.heads} * n));
    for (int h = 0; h < shape.heads; ++h)
        for (int r = 0; r < shape.rows; ++r)
            for (int k = 0; k < n; ++k)
                columnSums[at(h * n + k)] += expected.cells[at((std::int64_t{h} * shape.rows + r) * n + k)];
    EXPECT_LT(largestError(found.columnSums, columnSums, 1e-6), bound);

    if (shape.past == 0) {
        const int edge = shape.edge();
        const int f = shape.poolFactor;
        double worst = 0.0;
        for (int h = 0; h < shape.heads; ++h) {
            for (int row = 0; row < edge; ++row) {
                for (int column = 0; column < edge; ++column) {
                    double maximum = 0.0;
                    double sum = 0.0;
                    bool visible = false;
                    for (int q = row * f; q < std::min(n, (row + 1) * f); ++q) {
                        for (int k = column * f; k < std::min(n, (column + 1) * f); ++k) {
                            const double p = expected.cells[at((std::int64_t{h} * n + q) * n + k)];
                            visible = visible || (k <= q && (shape.window == 0 || k > q - shape.window));
                            maximum = std::max(maximum, p);
                            sum += p;
                        }
                    }
                    if (!visible)
                        continue;
                    const auto i = at((std::int64_t{h} * edge + row) * edge + column);
                    worst
                        = std::max(worst, std::abs(double{found.pooledMaximum[i]} - maximum) / std::max(maximum, 1e-7));
                    worst = std::max(worst, std::abs(double{found.pooledSum[i]} - sum) / std::max(sum, 1e-7));
                }
            }
        }
        EXPECT_LT(worst, bound);
    }

    if (shape.maps) {
        const MapTiles map(shape.window);
        const int tileRows = (n + mapTileEdge - 1) / mapTileEdge;
        const std::int64_t perHead = map.before(tileRows);
        std::int64_t wrong = 0;
        for (int h = 0; h < shape.heads; ++h) {
            for (int q = 0; q < tileRows * mapTileEdge; ++q) {
                for (int k = map.firstColumn(q / mapTileEdge) * mapTileEdge; k < (q / mapTileEdge + 1) * mapTileEdge;
                     ++k) {
                    const std::int64_t tile = h * perHead + map.index(q / mapTileEdge, k / mapTileEdge);
                    const float cell = halfToFloat(
                        found.tiles[at((tile * mapTileEdge + q % mapTileEdge) * mapTileEdge + k % mapTileEdge)]);
                    const double p = q < n && k < n ? expected.cells[at((std::int64_t{h} * n + q) * n + k)] : 0.0;
                    // Half an ulp of binary16, or half of its smallest number.
                    wrong += !(std::abs(double{cell} - p) <= std::max(p * (0x1p-11 + bound), 0x1p-25 + 1e-9));
                }
            }
        }
        EXPECT_EQ(wrong, 0);
    }
}

TEST(AttentionRecord, Float32GivesTheDefinitionWithin1e5)
{
    expectDefinition<float, 64>({.rows = 1});
    expectDefinition<float, 64>({.rows = 150, .poolFactor = 2});
    expectDefinition<float, 64>({.heads = 6, .kvHeads = 2, .rows = 129, .poolFactor = 4});
    expectDefinition<float, 80>({.rows = 97, .poolFactor = 1});
    expectDefinition<float, 96>({.rows = 70});
    expectDefinition<float, 128>({.rows = 131});
    expectDefinition<float, 256>({.rows = 67, .poolFactor = 4});
}

TEST(AttentionRecord, Bfloat16GivesTheDefinitionWithin1e3)
{
    expectDefinition<Bfloat16, 64>({.rows = 1});
    expectDefinition<Bfloat16, 64>({.rows = 300, .poolFactor = 2});
    expectDefinition<Bfloat16, 64>({.heads = 6, .kvHeads = 2, .rows = 129, .poolFactor = 4});
    expectDefinition<Bfloat16, 80>({.rows = 97, .poolFactor = 1});
    expectDefinition<Bfloat16, 96>({.rows = 70});
    expectDefinition<Bfloat16, 128>({.rows = 131});
    expectDefinition<Bfloat16, 256>({.rows = 67, .poolFactor = 4});
}

TEST(AttentionRecord, Float16GivesTheDefinitionWithin1e3)
{
    expectDefinition<Float16, 64>({.rows = 200, .window = 50});
    expectDefinition<Float16, 128>({.rows = 131});
}

TEST(AttentionRecord, SlidingWindowsHideWhatLiesBeforeThem)
{
    for (const int window : {1, 3, 63, 64, 65, 128, 500}) {
        expectDefinition<float, 64>({.rows = 200, .window = window, .poolFactor = 4});
        expectDefinition<Bfloat16, 64>({.rows = 300, .window = window});
    }
}

TEST(AttentionRecord, RowsMayFollowACache)
{
    expectDefinition<float, 64>({.rows = 1, .past = 200});
    expectDefinition<Bfloat16, 128>({.rows = 40, .past = 111});
    expectDefinition<Bfloat16, 64>({.heads = 4, .kvHeads = 2, .rows = 140, .past = 77, .window = 30});
}

TEST(AttentionRecord, MapTilesHoldEveryCellAndZeroesAroundThem)
{
    expectDefinition<float, 64>({.heads = 1, .rows = 300, .maps = true});
    expectDefinition<Bfloat16, 64>({.rows = 300, .maps = true});
    expectDefinition<Bfloat16, 256>({.heads = 1, .rows = 270, .maps = true});
    expectDefinition<Float16, 80>({.heads = 1, .rows = 600, .window = 100, .maps = true});
    expectDefinition<float, 64>({.heads = 1, .rows = 520, .window = 257, .maps = true});
}

TEST(AttentionRecord, Float32LogitsAreTheBitsOfAttentionRows)
{
    constexpr int dim = 64;
    using Tiling = AttentionTiling<float, dim>;
    const Shape shape{.heads = 1, .rows = Tiling::blockRows};
    const Vectors<float> vectors(shape, dim, 3);
    std::vector<float> logits(at(Tiling::blockRows * Tiling::keys));
    runGrid<Tiling::Shared>({1, 1, 1}, Tiling::warps, false, [&](HostWarp& warp, Tiling::Shared& shared) {
        copyVectors<Tiling, Tiling::blockRows>(warp, shared.queries, vectors.queries.data(), dim, 0, Tiling::blockRows);
        copyVectors<Tiling, Tiling::keys>(warp, shared.tiles[0], vectors.keys.data(), dim, 0, Tiling::keys);
        warp.commitCopies();
        warp.waitCopies();
        warp.barrier();
        Cells<HostWarp, Tiling> cells;
        multiplyKeys<Tiling>(warp, shared.queries, shared.tiles[0], cells);
        for (int n = 0; n < Tiling::keyTiles; ++n) {
            warp.lanes([&](int lane) {
                for (int i = 0; i < 4; ++i)
                    logits[at((warp.index() * 16 + rowOfLane(lane, i / 2)) * Tiling::keys + n * 8 + columnOfLane(lane)
                        + i % 2)]
                        = cells.at[0][n](lane).x[i];
            });
        }
    });
    // A tile with log-sum-exp 0 is exp(logit): equal bits of all cells mean equal logits.
    const PackedKeys keys(vectors.keys, dim);
    const std::vector<float> zeros(at(Tiling::blockRows));
    std::vector<float> expected(logits.size());
    std::vector<float> again(logits.size());
    attention_rows::tile(
        vectors.queries, keys, 0, Tiling::blockRows, 0, Tiling::keys, {.scale = 0.125F}, zeros, expected);
    for (int r = 0; r < Tiling::blockRows; ++r) {
        for (int k = 0; k <= r; ++k) {
            const auto i = at(r * Tiling::keys + k);
            EXPECT_NEAR(std::exp(0.125F * logits[i]), expected[i], expected[i] * 5e-7F) << r << " " << k;
            float chain = 0.0F;
            for (int d = 0; d < dim; ++d)
                chain = std::fma(vectors.queries[at(r * dim + d)], vectors.keys[at(k * dim + d)], chain);
            EXPECT_EQ(logits[i], chain) << r << " " << k;
        }
    }
}

TEST(AttentionRecord, OrderOfBlocksAndLanesChangesNoBit)
{
    const Shape shape{.heads = 2, .kvHeads = 1, .rows = 290, .poolFactor = 4, .maps = true};
    const Vectors<Bfloat16> vectors(shape, 64, 11);
    const auto a = record<Bfloat16, 64>(shape, vectors, false);
    const auto b = record<Bfloat16, 64>(shape, vectors, true);
    EXPECT_EQ(a.logSumExp, b.logSumExp);
    EXPECT_EQ(a.entropy, b.entropy);
    EXPECT_EQ(a.sinkMass, b.sinkMass);
    EXPECT_EQ(a.maximum, b.maximum);
    EXPECT_EQ(a.columnSums, b.columnSums);
    EXPECT_EQ(a.pooledMaximum, b.pooledMaximum);
    EXPECT_EQ(a.pooledSum, b.pooledSum);
    EXPECT_EQ(a.tiles, b.tiles);
    EXPECT_TRUE(std::ranges::equal(a.context, b.context, {}, &Bfloat16::bits, &Bfloat16::bits));
}

TEST(AttentionRecord, MapTilesAreCountedRowByRow)
{
    for (const int window : {0, 1, 2, 200, 256, 257, 258, 600}) {
        const MapTiles map(window);
        std::int64_t tiles = 0;
        for (int row = 0; row < 9; ++row) {
            EXPECT_EQ(map.before(row), tiles) << "window " << window << " row " << row;
            const int first = window > 0 ? std::max(0, row * mapTileEdge - window + 1) / mapTileEdge : 0;
            EXPECT_EQ(map.firstColumn(row), first);
            EXPECT_EQ(map.index(row, row), tiles + row - first);
            tiles += row - first + 1;
        }
    }
}

} // namespace
} // namespace kvloupe::cuda
