// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/cuda/attention_tiling.h"
#include "capture/cuda/lane_reduction.h"
#include "capture/cuda/map_tiles.h"

#include <cmath>

namespace kvloupe::cuda {

/// Running softmax of the rows of a lane, over the columns it has seen.
template <typename Warp, typename Tiling> struct RowSoftmax {
    template <typename T> using Value = typename Warp::template Value<T>;
    Value<float> maximum[Tiling::rowTiles][2]; ///< of the logits, unscaled
    Value<float> sum[Tiling::rowTiles][2]; ///< of power(unit (logit - maximum))
};

constexpr float log2OfE = 1.4426950408889634F;
constexpr float lnOf2 = 0.6931471805599453F;

/// The attention of a block of query rows with all that is recorded of it, in two sweeps over the keys: the first gives
/// maximum and sum of every row, the second the normalised cells, from which context, statistics, column sums, pooled
/// cells and map tiles are made while they are in registers. No cell is ever corrected afterwards, no float is added
/// atomically: results are the same bits on every run.
///
/// Context and cells of two tiles of rows take three quarters of the registers that a lane can have. What is needed
/// once per tile of keys lies in shared memory therefore, and what follows from the lane's number is not kept
/// (forget()).
///
/// Grid: x = blocks of rows of the launch, the last (which see most keys) first; y = heads of the launch.
/// `Lean`: neither map tiles nor pooled cells by less than 16, which leaves more registers to what long prompts need.
template <typename Warp, typename Tiling, bool Lean = false> class AttentionBlock {
public:
    using Element = typename Tiling::Element;
    template <typename T> using Value = typename Warp::template Value<T>;

    KVLOUPE_DEVICE AttentionBlock(Warp& warp, const AttentionInput<Element>& input,
        const AttentionOutput<Element>& output, typename Tiling::Shared& shared)
        : m_warp(warp)
        , m_input(input)
        , m_output(output)
        , m_shared(shared)
        , m_launchHead(warp.block(1))
        , m_head(output.headBegin + m_launchHead)
        , m_block(output.blockBegin + output.blocks - 1 - warp.block(0))
        , m_rowBegin(m_block * Tiling::blockRows)
        , m_total(input.keyCount())
        , m_unit(Tiling::tensorCores ? input.scale * log2OfE : input.scale)
        , m_range(input.past + m_rowBegin, Tiling::blockRows, m_total, input.window)
        , m_queries(input.queries + m_head * input.queryHeadStride)
        , m_keys(input.keys + m_head / input.headsPerKvHead * input.keyHeadStride)
        , m_values(input.values + m_head / input.headsPerKvHead * input.valueHeadStride)
    {
    }

    KVLOUPE_DEVICE void run()
    {
        copyVectors<Tiling, Tiling::blockRows>(
            m_warp, m_shared.queries, m_queries, m_input.queryRowStride, m_rowBegin, m_input.rows);
        RowSoftmax<Warp, Tiling> softmax;
        firstSweep(softmax);
        finishSoftmax(softmax);
        secondSweep();
    }

private:
    KVLOUPE_DEVICE void copyTile(
        typename Tiling::Element* to, const Element* from, std::int64_t rowStride, int keyBegin)
    {
        copyVectors<Tiling, Tiling::keys>(m_warp, to, from, rowStride, keyBegin, m_total);
        m_warp.commitCopies();
    }

    KVLOUPE_DEVICE bool writesMap() const
    {
        if constexpr (Lean)
            return false;
        else
            return m_output.mapTiles != nullptr;
    }

    /// Of the warp's first row.
    KVLOUPE_DEVICE int warpPosition() const { return m_input.past + m_rowBegin + m_warp.index() * Tiling::warpRows; }

    KVLOUPE_DEVICE TileMask maskOf(int keyBegin) const { return {warpPosition(), keyBegin, m_total, m_input.window}; }

    KVLOUPE_DEVICE void firstSweep(RowSoftmax<Warp, Tiling>& softmax)
    {
        forEachRow([&](int m, int pair, int lane) {
            softmax.maximum[m][pair](lane) = -INFINITY;
            softmax.sum[m][pair](lane) = 0.0F;
        });
        // The queries are part of the first group of copies; keys come into the two buffers in turn.
        copyTile(m_shared.tiles[0], m_keys, m_input.keyRowStride, m_range.begin);
        int buffer = 0;
        for (int keyBegin = m_range.begin; keyBegin < m_range.end; keyBegin += Tiling::keys) {
            m_warp.waitCopies();
            m_warp.barrier();
            m_warp.forget();
            if (keyBegin + Tiling::keys < m_range.end)
                copyTile(m_shared.tiles[1 - buffer], m_keys, m_input.keyRowStride, keyBegin + Tiling::keys);
            Cells<Warp, Tiling> logits;
            multiplyKeys<Tiling>(m_warp, m_shared.queries, m_shared.tiles[buffer], logits);
            hideCells<Tiling>(m_warp, maskOf(keyBegin), -INFINITY, logits);
            accumulate(logits, softmax);
            buffer = 1 - buffer;
        }
        m_warp.waitCopies();
        m_warp.barrier();
    }

    /// Takes logits into the running softmax of each lane's columns.
    KVLOUPE_DEVICE void accumulate(Cells<Warp, Tiling>& logits, RowSoftmax<Warp, Tiling>& softmax)
    {
        forEachRow([&](int m, int pair, int lane) {
            float& maximum = softmax.maximum[m][pair](lane);
            float& sum = softmax.sum[m][pair](lane);
            float largest = maximum;
            KVLOUPE_UNROLLED
            for (int n = 0; n < Tiling::keyTiles; ++n) {
                const float(&x)[4] = logits.at[m][n](lane).x;
                largest = fmaxf(largest, fmaxf(x[2 * pair], x[2 * pair + 1]));
            }
            if (largest == -INFINITY)
                return;
            const float offset = -largest * m_unit;
            float added = 0.0F;
            KVLOUPE_UNROLLED
            for (int n = 0; n < Tiling::keyTiles; ++n) {
                const float(&x)[4] = logits.at[m][n](lane).x;
                added += Warp::template power<Element>(__builtin_fmaf(x[2 * pair], m_unit, offset))
                    + Warp::template power<Element>(__builtin_fmaf(x[2 * pair + 1], m_unit, offset));
            }
            sum = sum * Warp::template power<Element>((maximum - largest) * m_unit) + added;
            maximum = largest;
        });
    }

    /// Merges the four lanes of each row; stores what is known of the row by now.
    KVLOUPE_DEVICE void finishSoftmax(RowSoftmax<Warp, Tiling>& softmax)
    {
        KVLOUPE_UNROLLED
        for (int m = 0; m < Tiling::rowTiles; ++m) {
            KVLOUPE_UNROLLED
            for (int pair = 0; pair < 2; ++pair) {
                KVLOUPE_UNROLLED
                for (int bit = 1; bit <= 2; bit <<= 1) {
                    const auto otherMaximum = m_warp.exchange(softmax.maximum[m][pair], bit);
                    const auto otherSum = m_warp.exchange(softmax.sum[m][pair], bit);
                    m_warp.lanes([&](int lane) {
                        float& maximum = softmax.maximum[m][pair](lane);
                        float& sum = softmax.sum[m][pair](lane);
                        const float largest = fmaxf(maximum, otherMaximum(lane));
                        if (largest == -INFINITY)
                            return;
                        const float mine = sum * Warp::template power<Element>((maximum - largest) * m_unit);
                        const float others
                            = otherSum(lane) * Warp::template power<Element>((otherMaximum(lane) - largest) * m_unit);
                        sum = mine + others;
                        maximum = largest;
                    });
                }
            }
        }
        forEachRow([&](int m, int pair, int lane) {
            const float maximum = softmax.maximum[m][pair](lane);
            const float sum = softmax.sum[m][pair](lane);
            const bool empty = sum == 0.0F; // a row after the last
            const int row = inputRow(m, pair, lane);
            if (lane % 4 == 0 && row < m_input.rows) {
                store(m_output.logSumExp, row, maximum * m_input.scale + logf(sum));
                store(m_output.maximum, row, 1.0F / sum);
            }
            if (lane % 4 == 0) {
                const int own = rowOfBlock(m, pair, lane);
                m_shared.rowMaximum[own] = empty ? 0.0F : maximum * m_unit;
                m_shared.rowScale[own] = empty ? 0.0F : 1.0F / sum;
            }
        });
        m_warp.sync();
    }

    KVLOUPE_DEVICE void secondSweep()
    {
        Value<Accumulator> context[Tiling::rowTiles][Tiling::headDim / 8];
        KVLOUPE_UNROLLED
        for (int m = 0; m < Tiling::rowTiles; ++m) {
            KVLOUPE_UNROLLED
            for (int n = 0; n < Tiling::headDim / 8; ++n)
                m_warp.lanes([&](int lane) { context[m][n](lane) = {}; });
        }
        forEachRow([&](int m, int pair, int lane) { weightedOf(m, pair, lane) = 0.0F; });
        if (m_range.begin > 0)
            storeSink(nullptr);

        const MapTiles map(m_input.window);
        const int tileRow = m_rowBegin / mapTileEdge;
        int mapBegin = m_range.begin;
        int mapEnd = m_range.end;
        if (writesMap()) {
            mapBegin = map.firstColumn(tileRow) * mapTileEdge;
            mapEnd = (tileRow + 1) * mapTileEdge;
            clearMap(mapBegin, m_range.begin);
        }

        if (m_range.begin < m_range.end)
            copyTile(m_shared.tiles[0], m_keys, m_input.keyRowStride, m_range.begin);
        for (int keyBegin = m_range.begin; keyBegin < m_range.end; keyBegin += Tiling::keys) {
            m_warp.waitCopies();
            m_warp.barrier(); // the keys are there, nobody reads the values before them any more
            if (m_output.context != nullptr)
                copyTile(m_shared.tiles[1], m_values, m_input.valueRowStride, keyBegin);
            Cells<Warp, Tiling> cells;
            multiplyKeys<Tiling>(m_warp, m_shared.queries, m_shared.tiles[0], cells);
            normalise(maskOf(keyBegin), cells);
            m_warp.forget();
            if (keyBegin == 0)
                storeSink(&cells);
            if (m_output.columnSumParts != nullptr)
                sumColumns(cells);
            if (m_output.pooledSum != nullptr)
                pool(keyBegin, cells);
            if (writesMap())
                storeMap(keyBegin, cells);
            m_warp.forget();
            m_warp.waitCopies();
            m_warp.barrier(); // the values and all column sums are there, nobody reads the keys any more
            if (keyBegin + Tiling::keys < m_range.end)
                copyTile(m_shared.tiles[0], m_keys, m_input.keyRowStride, keyBegin + Tiling::keys);
            if (m_output.columnSumParts != nullptr)
                storeColumnSums(keyBegin);
            if (m_output.context != nullptr)
                addValues(cells, context);
        }
        if (writesMap())
            clearMap(m_range.end > mapBegin ? m_range.end : mapBegin, mapEnd);
        storeRows();
        if (m_output.context != nullptr)
            storeContext(context);
    }

    /// logits to cells: power(unit logit - maximum) / sum, 0 where a row does not see a key.
    KVLOUPE_DEVICE void normalise(const TileMask& mask, Cells<Warp, Tiling>& cells)
    {
        // Finite, so that a hidden cell adds 0 times a number to the entropy.
        constexpr float hidden = -1e30F;
        hideCells<Tiling>(m_warp, mask, hidden, cells);
        forEachRow([&](int m, int pair, int lane) {
            const float offset = -m_shared.rowMaximum[rowOfBlock(m, pair, lane)];
            const float inverse = m_shared.rowScale[rowOfBlock(m, pair, lane)];
            float total = weightedOf(m, pair, lane);
            KVLOUPE_UNROLLED
            for (int n = 0; n < Tiling::keyTiles; ++n) {
                KVLOUPE_UNROLLED
                for (int c = 0; c < 2; ++c) {
                    float& cell = cells.at[m][n](lane).x[2 * pair + c];
                    const float exponent = __builtin_fmaf(cell, m_unit, offset);
                    cell = Warp::template power<Element>(exponent) * inverse;
                    total = __builtin_fmaf(cell, exponent, total);
                }
            }
            weightedOf(m, pair, lane) = total;
        });
    }

    /// Mass on the first four keys: columns 0 to 3 of the first tile of cells, which lanes 0 and 1 of each row hold;
    /// null = the rows do not see them.
    KVLOUPE_DEVICE void storeSink(Cells<Warp, Tiling>* first)
    {
        KVLOUPE_UNROLLED
        for (int m = 0; m < Tiling::rowTiles; ++m) {
            KVLOUPE_UNROLLED
            for (int pair = 0; pair < 2; ++pair) {
                Value<float> mass;
                m_warp.lanes([&](int lane) {
                    mass(lane) = 0.0F;
                    if (first != nullptr && columnOfLane(lane) < 4) {
                        const float(&x)[4] = first->at[m][0](lane).x;
                        mass(lane) = x[2 * pair] + x[2 * pair + 1];
                    }
                });
                reduceLanes<3>(m_warp, mass, Sum());
                m_warp.lanes([&](int lane) {
                    const int row = inputRow(m, pair, lane);
                    if (lane % 4 == 0 && row < m_input.rows)
                        store(m_output.sinkMass, row, mass(lane));
                });
            }
        }
    }

    /// Column sums of the warp's rows into shared memory: rows of a lane first, then the lanes.
    KVLOUPE_DEVICE void sumColumns(Cells<Warp, Tiling>& cells)
    {
        constexpr int count = 2 * Tiling::keyTiles;
        constexpr unsigned bits = 4 | 8 | 16; // of the row
        Value<float> sums[count];
        KVLOUPE_UNROLLED
        for (int i = 0; i < count; ++i) {
            m_warp.lanes([&](int lane) {
                float sum = 0.0F;
                KVLOUPE_UNROLLED
                for (int m = 0; m < Tiling::rowTiles; ++m)
                    sum += cells.at[m][i / 2](lane).x[i % 2] + cells.at[m][i / 2](lane).x[2 + i % 2];
                sums[i](lane) = sum;
            });
        }
        reduceLanes<bits, count>(m_warp, sums, Sum());
        m_warp.lanes([&](int lane) {
            const int first = firstHeld<bits, count>(lane);
            KVLOUPE_UNROLLED
            for (int i = 0; i < heldValues<bits, count>(); ++i) {
                const int column = (first + i) / 2 * 8 + columnOfLane(lane) + (first + i) % 2;
                m_shared.columnSums[m_warp.index()][column] = sums[i](lane);
            }
        });
    }

    /// The warps' column sums together, in their order.
    KVLOUPE_DEVICE void storeColumnSums(int keyBegin)
    {
        const std::int64_t blocksOfInput = (m_input.rows + Tiling::blockRows - 1) / Tiling::blockRows;
        float* out = m_output.columnSumParts + (m_launchHead * blocksOfInput + m_block) * m_total;
        m_warp.lanes([&](int lane) {
            const int column = m_warp.index() * warpLanes + lane;
            if (column >= Tiling::keys || keyBegin + column >= m_total)
                return;
            float sum = 0.0F;
            KVLOUPE_UNROLLED
            for (int w = 0; w < Tiling::warps; ++w)
                sum += m_shared.columnSums[w][column];
            out[keyBegin + column] = sum;
        });
    }

    KVLOUPE_DEVICE void pool(int keyBegin, Cells<Warp, Tiling>& cells)
    {
        if constexpr (Lean)
            return poolBy<16>(keyBegin, cells);
        switch (m_output.poolFactor) {
        case 1:
            return storeCells(keyBegin, cells);
        case 2:
            return poolBy<2>(keyBegin, cells);
        case 4:
            return poolBy<4>(keyBegin, cells);
        default:
            return poolBy<16>(keyBegin, cells);
        }
    }

    KVLOUPE_DEVICE int edge() const
    {
        const int factor = Lean ? 16 : m_output.poolFactor;
        return (m_total + factor - 1) / factor;
    }

    KVLOUPE_DEVICE void storePooled(float* out, int row, int column, float value)
    {
        const int size = edge();
        if (row < size && column < size)
            out[(static_cast<std::int64_t>(m_launchHead) * size + row) * size + column] = value;
    }

    KVLOUPE_DEVICE void storeCells(int keyBegin, Cells<Warp, Tiling>& cells)
    {
        forEachRow([&](int m, int pair, int lane) {
            KVLOUPE_UNROLLED
            for (int n = 0; n < Tiling::keyTiles; ++n) {
                KVLOUPE_UNROLLED
                for (int c = 0; c < 2; ++c) {
                    const float cell = cells.at[m][n](lane).x[2 * pair + c];
                    const int row = warpPosition() + m * 16 + rowOfLane(lane, pair);
                    const int column = keyBegin + n * 8 + columnOfLane(lane) + c;
                    storePooled(m_output.pooledMaximum, row, column, cell);
                    storePooled(m_output.pooledSum, row, column, cell);
                }
            }
        });
    }

    /// 16 rows at a time. What a lane holds of a block of cells comes together first, then what its neighbours hold.
    /// Maxima and sums one after the other, and not more than eight values of a lane at once: together they would not
    /// fit into registers.
    template <int factor> KVLOUPE_DEVICE void poolBy(int keyBegin, Cells<Warp, Tiling>& cells)
    {
        constexpr int tiles = factor == 16 || Tiling::keyTiles < 4 ? Tiling::keyTiles : 4;
        KVLOUPE_UNROLLED
        for (int m = 0; m < Tiling::rowTiles; ++m) {
            KVLOUPE_UNROLLED
            for (int first = 0; first < Tiling::keyTiles; first += tiles) {
                poolRows<factor, tiles>(keyBegin, m, first, cells, m_output.pooledMaximum, Maximum());
                poolRows<factor, tiles>(keyBegin, m, first, cells, m_output.pooledSum, Sum());
            }
        }
    }

    /// Of `tiles` tiles of eight keys from `firstTile` on.
    template <int factor, int tiles, typename Operation>
    KVLOUPE_DEVICE void poolRows(
        int keyBegin, int m, int firstTile, Cells<Warp, Tiling>& cells, float* out, Operation operation)
    {
        constexpr bool wide = factor == 16; // two tiles of eight keys, both rows of the lane
        constexpr int count = wide ? tiles / 2 : 2 * tiles;
        constexpr unsigned bits = factor == 2 ? 4U : factor == 4 ? 1U | 4U | 8U : 31U;
        Value<float> pooled[count];
        KVLOUPE_UNROLLED
        for (int i = 0; i < count; ++i) {
            m_warp.lanes([&](int lane) {
                if constexpr (wide) {
                    const float(&a)[4] = cells.at[m][firstTile + 2 * i](lane).x;
                    const float(&b)[4] = cells.at[m][firstTile + 2 * i + 1](lane).x;
                    pooled[i](lane) = operation(operation(operation(a[0], a[1]), operation(a[2], a[3])),
                        operation(operation(b[0], b[1]), operation(b[2], b[3])));
                } else {
                    const float(&x)[4] = cells.at[m][firstTile + i / 2](lane).x;
                    pooled[i](lane) = operation(x[2 * (i % 2)], x[2 * (i % 2) + 1]);
                }
            });
        }
        reduceLanes<bits, count>(m_warp, pooled, operation);
        m_warp.lanes([&](int lane) {
            if ((static_cast<unsigned>(lane) & repeatedBits<bits, count>()) != 0)
                return;
            const int first = firstHeld<bits, count>(lane);
            KVLOUPE_UNROLLED
            for (int i = 0; i < heldValues<bits, count>(); ++i) {
                const int number = first + i;
                const int row = warpPosition() + m * 16 + (wide ? 0 : rowOfLane(lane, number % 2));
                const int key = keyBegin + firstTile * 8 + (wide ? number * 16 : number / 2 * 8 + columnOfLane(lane));
                storePooled(out, row / factor, key / factor, pooled[i](lane));
            }
        });
    }

    /// First cell of a warp's 16 rows in its map tile, at key `keyBegin`.
    KVLOUPE_DEVICE std::uint16_t* mapCells(int keyBegin, int m) const
    {
        const MapTiles map(m_input.window);
        const int row = m_rowBegin + m_warp.index() * Tiling::warpRows + m * 16;
        const std::int64_t tile = m_launchHead * m_output.mapTilesPerHead
            + map.index(row / mapTileEdge, keyBegin / mapTileEdge) - map.before(m_output.mapRowBegin);
        return m_output.mapTiles + (tile * mapTileEdge + row % mapTileEdge) * mapTileEdge + keyBegin % mapTileEdge;
    }

    /// Through shared memory, so that whole lines of 128 bytes are written.
    KVLOUPE_DEVICE void storeMap(int keyBegin, Cells<Warp, Tiling>& cells)
    {
        auto* halves = reinterpret_cast<std::uint32_t*>(m_shared.weights[m_warp.index()]);
        constexpr int stride = Tiling::halfStride / 2; // words
        KVLOUPE_UNROLLED
        for (int m = 0; m < Tiling::rowTiles; ++m) {
            m_warp.sync();
            KVLOUPE_UNROLLED
            for (int n = 0; n < Tiling::keyTiles; ++n) {
                m_warp.lanes([&](int lane) {
                    const float(&x)[4] = cells.at[m][n](lane).x;
                    KVLOUPE_UNROLLED
                    for (int pair = 0; pair < 2; ++pair)
                        halves[rowOfLane(lane, pair) * stride + n * 4 + lane % 4]
                            = Warp::template pack<Float16>(x[2 * pair], x[2 * pair + 1]);
                });
            }
            m_warp.sync();
            writeMapRows(mapCells(keyBegin, m),
                [&](int row, int piece) { return *reinterpret_cast<const Words*>(halves + row * stride + piece * 4); });
        }
        m_warp.sync();
    }

    KVLOUPE_DEVICE void clearMap(int keyBegin, int keyEnd)
    {
        for (int key = keyBegin; key < keyEnd; key += Tiling::keys) {
            KVLOUPE_UNROLLED
            for (int m = 0; m < Tiling::rowTiles; ++m)
                writeMapRows(mapCells(key, m), [](int, int) { return Words{}; });
        }
    }

    /// 16 rows of `keys` halves; words(row, piece) gives 8 of them.
    template <typename F> KVLOUPE_DEVICE void writeMapRows(std::uint16_t* to, F&& words)
    {
        constexpr int pieces = Tiling::keys / 8;
        KVLOUPE_UNROLLED
        for (int first = 0; first < 16 * pieces; first += warpLanes) {
            m_warp.lanes([&](int lane) {
                const int row = (first + lane) / pieces;
                const int piece = (first + lane) % pieces;
                struct alignas(16) Line {
                    Words words;
                };
                *reinterpret_cast<Line*>(to + row * mapTileEdge + piece * 8) = {words(row, piece)};
            });
        }
    }

    /// context += cells values.
    KVLOUPE_DEVICE void addValues(
        Cells<Warp, Tiling>& cells, Value<Accumulator> (&context)[Tiling::rowTiles][Tiling::headDim / 8])
    {
        const Element* values = m_shared.tiles[1];
        if constexpr (Tiling::tensorCores) {
            KVLOUPE_UNROLLED
            for (int step = 0; step < Tiling::keyTiles / 2; ++step) {
                // Accumulators of two tiles of keys are the left operand of 16 keys.
                Value<Words> a[Tiling::rowTiles];
                KVLOUPE_UNROLLED
                for (int m = 0; m < Tiling::rowTiles; ++m) {
                    m_warp.lanes([&](int lane) {
                        KVLOUPE_UNROLLED
                        for (int i = 0; i < 4; ++i) {
                            const float(&x)[4] = cells.at[m][2 * step + i / 2](lane).x;
                            a[m](lane).x[i] = Warp::template pack<Element>(x[2 * (i % 2)], x[2 * (i % 2) + 1]);
                        }
                    });
                }
                KVLOUPE_UNROLLED
                for (int n = 0; n < Tiling::headDim / 8; n += 2) {
                    Value<Words> b;
                    m_warp.template loadMatrices<true>(b, [&](int lane) {
                        return values + (step * 16 + lane % 16) * Tiling::stride + n * 8 + lane / 16 * 8;
                    });
                    KVLOUPE_UNROLLED
                    for (int m = 0; m < Tiling::rowTiles; ++m) {
                        m_warp.template multiply<Element, 0>(context[m][n], a[m], b);
                        m_warp.template multiply<Element, 2>(context[m][n + 1], a[m], b);
                    }
                }
            }
        } else {
            float* weights = m_shared.weights[m_warp.index()];
            m_warp.sync();
            m_warp.lanes([&](int lane) {
                KVLOUPE_UNROLLED
                for (int n = 0; n < Tiling::keyTiles; ++n) {
                    KVLOUPE_UNROLLED
                    for (int i = 0; i < 4; ++i)
                        weights[rowOfLane(lane, i / 2) * Tiling::weightStride + n * 8 + columnOfLane(lane) + i % 2]
                            = cells.at[0][n](lane).x[i];
                }
            });
            m_warp.sync();
            m_warp.lanes([&](int lane) {
                for (int key = 0; key < Tiling::keys; ++key) {
                    const float p[2] = {weights[rowOfLane(lane, 0) * Tiling::weightStride + key],
                        weights[rowOfLane(lane, 1) * Tiling::weightStride + key]};
                    KVLOUPE_UNROLLED
                    for (int n = 0; n < Tiling::headDim / 8; ++n) {
                        float(&x)[4] = context[0][n](lane).x;
                        const float* v = values + key * Tiling::stride + n * 8 + columnOfLane(lane);
                        KVLOUPE_UNROLLED
                        for (int i = 0; i < 4; ++i)
                            x[i] = __builtin_fmaf(p[i / 2], v[i % 2], x[i]);
                    }
                }
            });
            m_warp.sync();
        }
    }

    KVLOUPE_DEVICE void storeRows()
    {
        Value<float> weighted[Tiling::rowTiles][2];
        forEachRow([&](int m, int pair, int lane) { weighted[m][pair](lane) = weightedOf(m, pair, lane); });
        KVLOUPE_UNROLLED
        for (int m = 0; m < Tiling::rowTiles; ++m) {
            KVLOUPE_UNROLLED
            for (int pair = 0; pair < 2; ++pair)
                reduceLanes<3>(m_warp, weighted[m][pair], Sum());
        }
        forEachRow([&](int m, int pair, int lane) {
            const int row = inputRow(m, pair, lane);
            if (lane % 4 != 0 || row >= m_input.rows)
                return;
            const float nats = weighted[m][pair](lane) * (Tiling::tensorCores ? lnOf2 : 1.0F);
            const float entropy = -logf(m_shared.rowScale[rowOfBlock(m, pair, lane)]) - nats;
            store(m_output.entropy, row, entropy > 0.0F ? entropy : entropy < 0.0F ? 0.0F : entropy);
        });
    }

    KVLOUPE_DEVICE void storeContext(Value<Accumulator> (&context)[Tiling::rowTiles][Tiling::headDim / 8])
    {
        Element* out = m_output.context + m_head * m_output.contextHeadStride;
        forEachRow([&](int m, int pair, int lane) {
            const int row = inputRow(m, pair, lane);
            if (row >= m_input.rows)
                return;
            Element* to = out + row * m_output.contextRowStride + columnOfLane(lane);
            KVLOUPE_UNROLLED
            for (int n = 0; n < Tiling::headDim / 8; ++n) {
                const float(&x)[4] = context[m][n](lane).x;
                if constexpr (Tiling::tensorCores) {
                    *reinterpret_cast<std::uint32_t*>(to + n * 8)
                        = Warp::template pack<Element>(x[2 * pair], x[2 * pair + 1]);
                } else {
                    to[n * 8] = x[2 * pair];
                    to[n * 8 + 1] = x[2 * pair + 1];
                }
            }
        });
    }

    /// f(m, pair, lane) for the rows that each lane holds cells of.
    template <typename F> KVLOUPE_DEVICE void forEachRow(F&& f)
    {
        KVLOUPE_UNROLLED
        for (int m = 0; m < Tiling::rowTiles; ++m) {
            KVLOUPE_UNROLLED
            for (int pair = 0; pair < 2; ++pair)
                m_warp.lanes([&](int lane) { f(m, pair, lane); });
        }
    }

    KVLOUPE_DEVICE float& weightedOf(int m, int pair, int lane)
    {
        return m_shared.weighted[m][pair][m_warp.index()][lane];
    }

    KVLOUPE_DEVICE int rowOfBlock(int m, int pair, int lane) const
    {
        return m_warp.index() * Tiling::warpRows + m * 16 + rowOfLane(lane, pair);
    }
    KVLOUPE_DEVICE int inputRow(int m, int pair, int lane) const { return m_rowBegin + rowOfBlock(m, pair, lane); }

    KVLOUPE_DEVICE void store(float* array, int row, float value) const
    {
        if (array != nullptr)
            array[static_cast<std::int64_t>(m_launchHead) * m_input.rows + row] = value;
    }

    Warp& m_warp;
    const AttentionInput<Element>& m_input;
    const AttentionOutput<Element>& m_output;
    typename Tiling::Shared& m_shared;
    int m_launchHead;
    int m_head;
    int m_block;
    int m_rowBegin; // row of the input
    int m_total; // keys
    float m_unit; // logits times this are exponents of power()
    KeyRange<Tiling> m_range;
    const Element* m_queries;
    const Element* m_keys;
    const Element* m_values;
};

/// The program of ColumnSumParts. Grid: x = keys / lanes of a block, y = heads of the launch.
template <typename Warp> KVLOUPE_DEVICE void addColumnSumParts(Warp& warp, const ColumnSumParts& input)
{
    const int keys = input.past + input.rows;
    const int blocks = (input.rows + input.blockRows - 1) / input.blockRows;
    warp.lanes([&](int lane) {
        const int key = (warp.block(0) * warp.count() + warp.index()) * warpLanes + lane;
        if (key >= keys)
            return;
        const int first = key > input.past ? (key - input.past) / input.blockRows : 0;
        int end = blocks;
        if (input.window > 0) {
            const int lastRow = key + input.window - 1 - input.past; // the last that sees the key
            end = lastRow < 0 ? 0 : lastRow / input.blockRows + 1;
            end = end < blocks ? end : blocks;
        }
        const float* parts = input.parts + static_cast<std::int64_t>(warp.block(1)) * blocks * keys + key;
        double sum = 0.0;
        for (int block = first; block < end; ++block)
            sum += static_cast<double>(parts[static_cast<std::int64_t>(block) * keys]);
        input.columnSums[static_cast<std::int64_t>(warp.block(1)) * keys + key] = static_cast<float>(sum);
    });
}

} // namespace kvloupe::cuda
