// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/cuda/element_conversion.h"
#include "capture/cuda/lane_reduction.h"

#include <cmath>
#include <cstdint>

namespace kvloupe::cuda {

/// Tokens of one list of a compressed cache, in slots, and the queries that look at it.
template <typename Element> struct TokenList {
    const Element* keys; ///< [slots, head_dim]; vectors begin at multiples of 16 bytes
    const Element* values; ///< [slots, head_dim]
    const std::uint32_t* masked; ///< [ceil(slots / 32)], one bit per slot that is not seen, and for those past the end
    const float* queries; ///< [heads, head_dim]
    float* context; ///< [heads, head_dim]; zeros where nothing is seen
    float* weights; ///< [heads, slots] softmax, 0 where a slot is not seen; null = not wanted
    int slots;
    int heads;
    int partBegin; ///< of its parts in ListsInput::parts: those of the first heads, then those of the next
};

/// What a block computes: some heads of a list over some of its slots.
struct ListPart {
    int list;
    int slotBegin; ///< a multiple of partSlots
    int headBegin;
};

/// A query of each of several lists. Memory of the parts is [parts, partHeads (, head_dim)].
template <typename Element> struct ListsInput {
    static constexpr int partSlots = 256;
    static constexpr int partHeads = 8;

    const TokenList<Element>* lists;
    const ListPart* parts;
    float* partMaximum;
    float* partSum; ///< of exponentials of differences to the maximum
    float* partContext; ///< not yet divided by the sum
    int listCount;
    int partCount;
    int largestHeads; ///< of any list
    float scale;
};

template <int headDim> struct ListShared {
    static constexpr int warps = 4;
    static constexpr int heads = ListsInput<float>::partHeads;

    alignas(16) float queries[heads][headDim];
    float weights[warps][heads][warpLanes]; ///< of a tile of slots
    float maximum[warps][heads];
    float sum[warps][heads];
    float context[warps][heads][headDim];
};

/// One part by one block: each warp goes over its slots, 32 at a time, with a running maximum and sum (Milakov and
/// Gimelshein 2018, arXiv 1805.02867); a logit is one chain of fused multiply-adds over the dimensions, as on the CPU.
/// Which slots meet in which part depends on the list alone, and sums are made in a fixed order. Grid: x = parts.
template <int headDim, typename Warp, typename Element>
KVLOUPE_DEVICE void attendListPart(Warp& warp, const ListsInput<Element>& input, ListShared<headDim>& shared)
{
    using Shared = ListShared<headDim>;
    constexpr int heads = Shared::heads;
    constexpr int pairs = (headDim / 2 + warpLanes - 1) / warpLanes; // of channels that a lane adds up
    constexpr int pieceElements = 16 / static_cast<int>(sizeof(Element));
    struct alignas(16) Piece {
        Element x[pieceElements];
    };
    struct alignas(2 * sizeof(Element)) Pair {
        Element x[2];
    };
    const ListPart part = input.parts[warp.block(0)];
    const TokenList<Element> list = input.lists[part.list];
    const int headCount = list.heads - part.headBegin < heads ? list.heads - part.headBegin : heads;

    warp.lanes([&](int lane) {
        for (int i = warp.index() * warpLanes + lane; i < heads * headDim; i += Shared::warps * warpLanes)
            shared.queries[i / headDim][i % headDim] = i / headDim < headCount
                ? list.queries[static_cast<std::int64_t>(part.headBegin) * headDim + i]
                : 0.0F;
    });
    warp.barrier();

    typename Warp::template Value<float> maximum[heads];
    typename Warp::template Value<float> sum[heads];
    typename Warp::template Value<float> context[heads][pairs][2];
    KVLOUPE_UNROLLED
    for (int h = 0; h < heads; ++h) {
        warp.lanes([&](int lane) {
            maximum[h](lane) = -INFINITY;
            sum[h](lane) = 0.0F;
            KVLOUPE_UNROLLED
            for (int p = 0; p < pairs; ++p)
                context[h][p][0](lane) = context[h][p][1](lane) = 0.0F;
        });
    }

    constexpr int warpSlots = ListsInput<Element>::partSlots / Shared::warps;
    const int begin = part.slotBegin + warp.index() * warpSlots;
    for (int first = begin; first < begin + warpSlots && first < list.slots; first += warpLanes) {
        const std::uint32_t masked = list.masked[first / warpLanes];
        typename Warp::template Value<float> logits[heads];
        warp.lanes([&](int lane) {
            const bool seen = (masked >> lane & 1U) == 0;
            float products[heads];
            KVLOUPE_UNROLLED
            for (int h = 0; h < heads; ++h)
                products[h] = 0.0F;
            if (seen) {
                const Element* key = list.keys + static_cast<std::int64_t>(first + lane) * headDim;
                for (int i = 0; i < headDim; i += pieceElements) {
                    const Piece piece = *reinterpret_cast<const Piece*>(key + i);
                    KVLOUPE_UNROLLED
                    for (int j = 0; j < pieceElements; ++j) {
                        const float x = widen(piece.x[j]);
                        KVLOUPE_UNROLLED
                        for (int h = 0; h < heads; ++h)
                            products[h] = __builtin_fmaf(shared.queries[h][i + j], x, products[h]);
                    }
                }
            }
            KVLOUPE_UNROLLED
            for (int h = 0; h < heads; ++h) {
                logits[h](lane) = seen ? products[h] * input.scale : -INFINITY;
                if (list.weights != nullptr && h < headCount && first + lane < list.slots)
                    list.weights[static_cast<std::int64_t>(part.headBegin + h) * list.slots + first + lane]
                        = logits[h](lane);
            }
        });
        KVLOUPE_UNROLLED
        for (int h = 0; h < heads; ++h) {
            typename Warp::template Value<float> largest = logits[h];
            reduceLanes<31>(warp, largest, Maximum());
            typename Warp::template Value<float> weights;
            typename Warp::template Value<float> before; // what earlier tiles are multiplied by
            warp.lanes([&](int lane) {
                const float next = Maximum()(maximum[h](lane), largest(lane));
                before(lane)
                    = maximum[h](lane) == -INFINITY ? 0.0F : Warp::template power<float>(maximum[h](lane) - next);
                weights(lane)
                    = logits[h](lane) == -INFINITY ? 0.0F : Warp::template power<float>(logits[h](lane) - next);
                maximum[h](lane) = next;
                shared.weights[warp.index()][h][lane] = weights(lane);
            });
            reduceLanes<31>(warp, weights, Sum());
            warp.lanes([&](int lane) {
                sum[h](lane) = sum[h](lane) * before(lane) + weights(lane);
                KVLOUPE_UNROLLED
                for (int p = 0; p < pairs; ++p) {
                    context[h][p][0](lane) *= before(lane);
                    context[h][p][1](lane) *= before(lane);
                }
            });
        }
        warp.sync();
        for (int j = 0; j < warpLanes; ++j) {
            if ((masked >> j & 1U) != 0)
                continue; // idle slots may hold anything
            const Element* value = list.values + static_cast<std::int64_t>(first + j) * headDim;
            warp.lanes([&](int lane) {
                KVLOUPE_UNROLLED
                for (int p = 0; p < pairs; ++p) {
                    const int channel = 2 * (p * warpLanes + lane);
                    if (channel >= headDim)
                        continue;
                    const Pair pair = *reinterpret_cast<const Pair*>(value + channel);
                    KVLOUPE_UNROLLED
                    for (int h = 0; h < heads; ++h) {
                        const float weight = shared.weights[warp.index()][h][j];
                        KVLOUPE_UNROLLED
                        for (int c = 0; c < 2; ++c)
                            context[h][p][c](lane) = __builtin_fmaf(weight, widen(pair.x[c]), context[h][p][c](lane));
                    }
                }
            });
        }
        warp.sync();
    }

    KVLOUPE_UNROLLED
    for (int h = 0; h < heads; ++h) {
        warp.lanes([&](int lane) {
            if (lane == 0) {
                shared.maximum[warp.index()][h] = maximum[h](lane);
                shared.sum[warp.index()][h] = sum[h](lane);
            }
            KVLOUPE_UNROLLED
            for (int p = 0; p < pairs; ++p) {
                const int channel = 2 * (p * warpLanes + lane);
                if (channel < headDim) {
                    shared.context[warp.index()][h][channel] = context[h][p][0](lane);
                    shared.context[warp.index()][h][channel + 1] = context[h][p][1](lane);
                }
            }
        });
    }
    warp.barrier();
    const std::int64_t place = static_cast<std::int64_t>(warp.block(0)) * heads;
    warp.lanes([&](int lane) {
        for (int i = warp.index() * warpLanes + lane; i < headCount * headDim; i += Shared::warps * warpLanes) {
            const int h = i / headDim;
            float largest = -INFINITY;
            for (int w = 0; w < Shared::warps; ++w)
                largest = Maximum()(largest, shared.maximum[w][h]);
            float total = 0.0F;
            float added = 0.0F;
            for (int w = 0; w < Shared::warps; ++w) {
                if (shared.maximum[w][h] == -INFINITY)
                    continue;
                const float factor = Warp::template power<float>(shared.maximum[w][h] - largest);
                total += shared.sum[w][h] * factor;
                added = __builtin_fmaf(shared.context[w][h][i % headDim], factor, added);
            }
            input.partContext[place * headDim + i] = added;
            if (i % headDim == 0) {
                input.partMaximum[place + h] = largest;
                input.partSum[place + h] = total;
            }
        }
    });
}

/// Puts the parts of one head of a list together, in their order, and makes its logits weights. Grid: x = lists,
/// y = heads of the largest list.
template <int headDim, typename Warp, typename Element>
KVLOUPE_DEVICE void finishList(Warp& warp, const ListsInput<Element>& input)
{
    constexpr int heads = ListsInput<Element>::partHeads;
    const TokenList<Element> list = input.lists[warp.block(0)];
    const int head = warp.block(1);
    if (head >= list.heads)
        return;
    const int parts = (list.slots + ListsInput<Element>::partSlots - 1) / ListsInput<Element>::partSlots;
    const std::int64_t firstPart = list.partBegin + static_cast<std::int64_t>(head / heads) * parts;
    const auto placeOf = [&](int part) { return (firstPart + part) * heads + head % heads; };
    float largest = -INFINITY;
    for (int part = 0; part < parts; ++part)
        largest = Maximum()(largest, input.partMaximum[placeOf(part)]);
    float total = 0.0F;
    for (int part = 0; part < parts; ++part)
        if (input.partMaximum[placeOf(part)] != -INFINITY)
            total += input.partSum[placeOf(part)]
                * Warp::template power<float>(input.partMaximum[placeOf(part)] - largest);
    const float inverse = total > 0.0F ? 1.0F / total : 0.0F;
    warp.lanes([&](int lane) {
        const int begin = warp.index() * warpLanes + lane;
        const int stride = warp.count() * warpLanes;
        for (int channel = begin; channel < headDim; channel += stride) {
            float added = 0.0F;
            for (int part = 0; part < parts; ++part) {
                const float maximum = input.partMaximum[placeOf(part)];
                if (maximum != -INFINITY)
                    added = __builtin_fmaf(input.partContext[placeOf(part) * headDim + channel],
                        Warp::template power<float>(maximum - largest), added);
            }
            list.context[head * headDim + channel] = added * inverse;
        }
        for (int slot = begin; list.weights != nullptr && slot < list.slots; slot += stride) {
            float& weight = list.weights[static_cast<std::int64_t>(head) * list.slots + slot];
            weight = weight == -INFINITY ? 0.0F : Warp::template power<float>(weight - largest) * inverse;
        }
    });
}

} // namespace kvloupe::cuda
