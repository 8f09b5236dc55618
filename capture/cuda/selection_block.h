// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/cuda/execution.h"

#include <bit>
#include <cmath>
#include <cstdint>

namespace kvloupe::cuda {

/// The best tokens of every set by score, positions ascending. The order of docs/methods.md: score descending, then
/// position ascending; NaN counts as minus infinity, -0 as 0.
struct SelectionInput {
    const float* scores; ///< [sets, tokens]
    int tokens;
    const int* counts; ///< [sets], to be kept: 0 to tokens
    const std::int64_t* offsets; ///< [sets], where the positions of a set begin in `kept`
    int* kept;
};

/// Whole numbers in the order of the scores.
KVLOUPE_DEVICE std::uint32_t scoreKey(float score)
{
    if (score != score)
        score = -INFINITY;
    if (score == 0.0F)
        score = 0.0F;
    const auto bits = std::bit_cast<std::uint32_t>(score);
    return (bits & 0x80000000U) != 0 ? ~bits : bits | 0x80000000U;
}

struct SelectionShared {
    static constexpr int warps = 8;

    std::uint32_t counts[256]; ///< of keys by their next byte
    std::uint32_t prefix; ///< the bytes of the key of the last kept token that are known
    std::uint32_t remaining; ///< tokens with this prefix that are kept
    std::uint32_t above[warps]; ///< in the part of a warp: keys above that of the last kept token
    std::uint32_t equal[warps]; ///< and equal to it
};

/// Radix select, byte after byte from the highest, of one set by one block. Whole numbers are counted, so that the
/// order of atomic additions does not matter. Grid: x = sets.
template <typename Warp> KVLOUPE_DEVICE void selectTop(Warp& warp, const SelectionInput& input, SelectionShared& shared)
{
    constexpr int blockLanes = SelectionShared::warps * warpLanes;
    const int set = warp.block(0);
    const float* scores = input.scores + static_cast<std::int64_t>(set) * input.tokens;
    const int count = input.counts[set];
    if (count <= 0)
        return;
    const int firstLane = warp.index() * warpLanes;

    warp.lanes([&](int lane) {
        if (firstLane + lane == 0) {
            shared.prefix = 0;
            shared.remaining = static_cast<std::uint32_t>(count);
        }
    });
    for (int shift = 24; shift >= 0; shift -= 8) {
        warp.lanes([&](int lane) { shared.counts[firstLane + lane] = 0; });
        warp.barrier();
        warp.lanes([&](int lane) {
            for (int token = firstLane + lane; token < input.tokens; token += blockLanes) {
                const std::uint32_t key = scoreKey(scores[token]);
                if (shift == 24 || key >> (shift + 8) == shared.prefix)
                    Warp::addTo(&shared.counts[key >> shift & 0xffU], 1U);
            }
        });
        warp.barrier();
        warp.lanes([&](int lane) {
            if (firstLane + lane != 0)
                return;
            std::uint32_t remaining = shared.remaining;
            int byte = 255;
            while (shared.counts[byte] < remaining)
                remaining -= shared.counts[byte--];
            shared.remaining = remaining;
            shared.prefix = shared.prefix << 8 | static_cast<std::uint32_t>(byte);
        });
        warp.barrier();
    }

    // Each warp has a run of tokens; how many it keeps tells the next ones where to write.
    const std::uint32_t last = shared.prefix;
    const std::uint32_t equalKept = shared.remaining;
    const int part = (input.tokens + blockLanes - 1) / blockLanes * warpLanes;
    const int begin = warp.index() * part;
    const int end = begin + part < input.tokens ? begin + part : input.tokens;
    typename Warp::template Value<bool> isAbove;
    typename Warp::template Value<bool> isEqual;
    const auto compare = [&](int first) {
        warp.lanes([&](int lane) {
            const bool inside = first + lane < end;
            const std::uint32_t key = inside ? scoreKey(scores[first + lane]) : 0U;
            isAbove(lane) = inside && key > last;
            isEqual(lane) = inside && key == last;
        });
    };
    std::uint32_t above = 0;
    std::uint32_t equal = 0;
    for (int first = begin; first < end; first += warpLanes) {
        compare(first);
        above += static_cast<std::uint32_t>(Warp::bitsSet(warp.ballot(isAbove)));
        equal += static_cast<std::uint32_t>(Warp::bitsSet(warp.ballot(isEqual)));
    }
    warp.lanes([&](int lane) {
        if (lane == 0) {
            shared.above[warp.index()] = above;
            shared.equal[warp.index()] = equal;
        }
    });
    warp.barrier();
    std::uint32_t aboveBefore = 0;
    std::uint32_t equalBefore = 0;
    for (int w = 0; w < warp.index(); ++w) {
        aboveBefore += shared.above[w];
        equalBefore += shared.equal[w];
    }
    int* kept = input.kept + input.offsets[set];
    for (int first = begin; first < end; first += warpLanes) {
        compare(first);
        const std::uint32_t aboveHere = warp.ballot(isAbove);
        const std::uint32_t equalHere = warp.ballot(isEqual);
        warp.lanes([&](int lane) {
            const std::uint32_t before = (1U << lane) - 1U;
            const std::uint32_t equals = equalBefore + static_cast<std::uint32_t>(Warp::bitsSet(equalHere & before));
            const std::uint32_t aboves = aboveBefore + static_cast<std::uint32_t>(Warp::bitsSet(aboveHere & before));
            if (isAbove(lane) || (isEqual(lane) && equals < equalKept))
                kept[aboves + (equals < equalKept ? equals : equalKept)] = first + lane;
        });
        aboveBefore += static_cast<std::uint32_t>(Warp::bitsSet(aboveHere));
        equalBefore += static_cast<std::uint32_t>(Warp::bitsSet(equalHere));
    }
}

/// Kept vectors of every KV head into a ragged cache: out[offsets[head] + i] = vectors[head, kept[offsets[head] + i]].
struct GatherInput {
    const unsigned char* vectors; ///< [heads, tokens] vectors by the strides below
    std::int64_t headStride; ///< bytes, multiples of 16, and so the next two
    std::int64_t tokenStride;
    int vectorBytes;
    const int* counts; ///< [heads]
    const std::int64_t* offsets; ///< [heads]
    const int* kept;
    unsigned char* out; ///< one vector after the other
};

/// One warp per vector. Grid: x = largest count / warps of a block, y = heads.
template <typename Warp> KVLOUPE_DEVICE void gatherVectors(Warp& warp, const GatherInput& input)
{
    const int head = warp.block(1);
    const int i = warp.block(0) * warp.count() + warp.index();
    if (i >= input.counts[head])
        return;
    const std::int64_t at = input.offsets[head] + i;
    const unsigned char* from = input.vectors + head * input.headStride + input.kept[at] * input.tokenStride;
    unsigned char* to = input.out + at * input.vectorBytes;
    struct alignas(16) Piece {
        Words words;
    };
    warp.lanes([&](int lane) {
        for (int byte = lane * 16; byte < input.vectorBytes; byte += warpLanes * 16)
            *reinterpret_cast<Piece*>(to + byte) = *reinterpret_cast<const Piece*>(from + byte);
    });
}

} // namespace kvloupe::cuda
