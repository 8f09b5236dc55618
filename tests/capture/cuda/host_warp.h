// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/cuda/element_conversion.h"
#include "core/recording/half.h"

#include <array>
#include <atomic>
#include <barrier>
#include <bit>
#include <cmath>
#include <cstring>
#include <exception>
#include <limits>
#include <memory>
#include <thread>
#include <type_traits>
#include <vector>

namespace kvloupe::cuda {

/// Rounds to nearest even.
template <typename Element> Element fromFloat(float value)
{
    if constexpr (std::is_same_v<Element, float>) {
        return value;
    } else if constexpr (std::is_same_v<Element, Float16>) {
        return {floatToHalf(value)};
    } else {
        const auto bits = std::bit_cast<std::uint32_t>(value);
        if (std::isnan(value))
            return {static_cast<std::uint16_t>(bits >> 16 | 0x40U)};
        return {static_cast<std::uint16_t>((bits + 0x7fffU + (bits >> 16 & 1U)) >> 16)};
    }
}

/// The Warp of execution.h on the CPU. Warps of a block are threads, so that a missing barrier is a data race; lanes
/// take turns, forwards or backwards. Copies to shared memory happen when they are waited for, and until then what they
/// will overwrite reads as NaN. Register layouts are those of the PTX manual ("Matrix fragments for mma.m16n8k16",
/// "ldmatrix").
class HostWarp {
public:
    template <typename T> struct Value {
        T& operator()(int lane) { return held[static_cast<std::size_t>(lane)]; }
        const T& operator()(int lane) const { return held[static_cast<std::size_t>(lane)]; }
        std::array<T, warpLanes> held;
    };

    HostWarp(int warp, int warps, std::array<int, 3> block, std::barrier<>& barrierOfBlock, bool backwards)
        : m_index(warp)
        , m_count(warps)
        , m_block(block)
        , m_barrier(&barrierOfBlock)
        , m_backwards(backwards)
    {
    }

    int index() const { return m_index; }
    int count() const { return m_count; }
    int block(int axis) const { return m_block[static_cast<std::size_t>(axis)]; }

    template <typename F> void lanes(F&& f)
    {
        for (int i = 0; i < warpLanes; ++i)
            f(m_backwards ? warpLanes - 1 - i : i);
    }

    void barrier() { m_barrier->arrive_and_wait(); }
    void sync() { }
    void forget() { }

    void copyAsync(int, void* to, const void* from, bool valid)
    {
        Copy copy{static_cast<std::byte*>(to), {}};
        if (valid)
            std::memcpy(copy.bytes.data(), from, copy.bytes.size());
        std::memset(to, 0xff, copy.bytes.size());
        m_begun.push_back(copy);
    }
    void commitCopies()
    {
        m_committed.insert(m_committed.end(), m_begun.begin(), m_begun.end());
        m_begun.clear();
    }
    void waitCopies()
    {
        for (const Copy& copy : m_committed)
            std::memcpy(copy.to, copy.bytes.data(), copy.bytes.size());
        m_committed.clear();
    }

    template <bool transposed, typename F> void loadMatrices(Value<Words>& to, F&& rowOfLane)
    {
        std::array<std::array<std::uint16_t, 8>, warpLanes> rows; // of matrix row / 8
        for (int lane = 0; lane < warpLanes; ++lane)
            std::memcpy(rows[at(lane)].data(), rowOfLane(lane), sizeof rows[0]);
        for (int lane = 0; lane < warpLanes; ++lane) {
            for (int matrix = 0; matrix < 4; ++matrix) {
                const int row = lane / 4;
                const int column = lane % 4 * 2;
                const std::uint32_t low
                    = transposed ? rows[at(matrix * 8 + column)][at(row)] : rows[at(matrix * 8 + row)][at(column)];
                const std::uint32_t high = transposed ? rows[at(matrix * 8 + column + 1)][at(row)]
                                                      : rows[at(matrix * 8 + row)][at(column + 1)];
                to(lane).x[matrix] = low | high << 16;
            }
        }
    }

    template <typename Element, int first>
    void multiply(Value<Accumulator>& c, const Value<Words>& a, const Value<Words>& b)
    {
        float left[16][16];
        float right[16][8];
        for (int lane = 0; lane < warpLanes; ++lane) {
            const int group = lane / 4;
            const int pair = lane % 4 * 2;
            for (int i = 0; i < 8; ++i) // a0 .. a7 of the manual
                left[group + (i / 2 % 2) * 8][pair + i % 2 + i / 4 * 8] = half<Element>(a(lane).x[i / 2], i % 2);
            for (int i = 0; i < 4; ++i)
                right[pair + i % 2 + i / 2 * 8][group] = half<Element>(b(lane).x[first + i / 2], i % 2);
        }
        for (int lane = 0; lane < warpLanes; ++lane) {
            for (int i = 0; i < 4; ++i) {
                const int row = lane / 4 + i / 2 * 8;
                const int column = lane % 4 * 2 + i % 2;
                float& x = c(lane).x[i];
                for (int k = 0; k < 16; ++k)
                    x += left[row][k] * right[k][column];
            }
        }
    }

    template <typename T> Value<T> exchange(const Value<T>& value, int bit)
    {
        Value<T> result;
        for (int lane = 0; lane < warpLanes; ++lane)
            result(lane) = value(lane ^ bit);
        return result;
    }

    std::uint32_t ballot(const Value<bool>& flags)
    {
        std::uint32_t word = 0;
        for (int lane = 0; lane < warpLanes; ++lane)
            word |= static_cast<std::uint32_t>(flags(lane)) << lane;
        return word;
    }
    static void addTo(std::uint32_t* counter, std::uint32_t amount) { std::atomic_ref(*counter) += amount; }
    static void lowerTo(std::uint32_t* least, std::uint32_t value)
    {
        std::atomic_ref reference(*least);
        std::uint32_t before = reference;
        while (value < before && !reference.compare_exchange_weak(before, value)) { }
    }
    static int bitsSet(std::uint32_t word) { return std::popcount(word); }

    template <typename Element> static float power(float x)
    {
        return std::is_same_v<Element, float> ? std::exp(x) : std::exp2(x);
    }

    template <typename Element> static std::uint32_t pack(float low, float high)
    {
        return fromFloat<Element>(low).bits | static_cast<std::uint32_t>(fromFloat<Element>(high).bits) << 16;
    }

private:
    struct Copy {
        std::byte* to;
        std::array<std::byte, 16> bytes;
    };

    static std::size_t at(int value) { return static_cast<std::size_t>(value); }
    template <typename Element> static float half(std::uint32_t word, int which)
    {
        return widen(Element{static_cast<std::uint16_t>(word >> (16 * which))});
    }

    int m_index;
    int m_count;
    std::array<int, 3> m_block;
    std::barrier<>* m_barrier;
    bool m_backwards;
    std::vector<Copy> m_begun;
    std::vector<Copy> m_committed;
};

/// Runs program(warp, shared) on a grid; every block gets shared memory full of NaN. Blocks run one after the other,
/// from the last to the first and lanes backwards if `backwards`.
template <typename Shared, typename Program>
void runGrid(std::array<int, 3> grid, int warps, bool backwards, const Program& program)
{
    const int blocks = grid[0] * grid[1] * grid[2];
    const auto shared = std::make_unique<Shared>();
    std::barrier barrier(warps);
    for (int i = 0; i < blocks; ++i) {
        const int number = backwards ? blocks - 1 - i : i;
        const std::array<int, 3> block{number % grid[0], number / grid[0] % grid[1], number / grid[0] / grid[1]};
        std::memset(static_cast<void*>(shared.get()), 0xff, sizeof(Shared));
        if (warps == 1) {
            HostWarp warp(0, 1, block, barrier, backwards);
            program(warp, *shared);
            continue;
        }
        std::vector<std::jthread> threads;
        for (int w = 0; w < warps; ++w) {
            threads.emplace_back([&, w] {
                HostWarp warp(w, warps, block, barrier, backwards);
                program(warp, *shared);
            });
        }
    }
}

} // namespace kvloupe::cuda
