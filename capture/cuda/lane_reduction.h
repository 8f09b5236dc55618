// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/cuda/execution.h"

namespace kvloupe::cuda {

struct Sum {
    KVLOUPE_DEVICE float operator()(float a, float b) const { return a + b; }
};
struct Maximum {
    KVLOUPE_DEVICE float operator()(float a, float b) const { return a > b ? a : b; }
};

constexpr unsigned highestBit(unsigned bits)
{
    unsigned bit = 1;
    while (bits >> 1 >= bit)
        bit <<= 1;
    return bit;
}

/// Reduces each of `Count` values (a power of two) over the lanes whose numbers differ in the bits of `Bits`. While
/// there is more than one value, two lanes share the work: each goes on with half of the values, so that 16 values over
/// 8 lanes cost 14 exchanges instead of 48. Afterwards a lane holds values[0 .. heldValues()), which are numbers
/// firstHeld(lane) and following. The order of the operations depends on nothing but the lanes.
template <unsigned Bits, int Count, typename Warp, typename Operation>
KVLOUPE_DEVICE void reduceLanes(Warp& warp, typename Warp::template Value<float>* values, Operation operation)
{
    if constexpr (Bits != 0) {
        constexpr int bit = static_cast<int>(highestBit(Bits));
        if constexpr (Count > 1) {
            constexpr int half = Count / 2;
            KVLOUPE_UNROLLED
            for (int i = 0; i < half; ++i) {
                typename Warp::template Value<float> sent;
                warp.lanes(
                    [&](int lane) { sent(lane) = (lane & bit) != 0 ? values[i](lane) : values[i + half](lane); });
                const auto received = warp.exchange(sent, bit);
                warp.lanes([&](int lane) {
                    const float kept = (lane & bit) != 0 ? values[i + half](lane) : values[i](lane);
                    values[i](lane) = operation(kept, received(lane));
                });
            }
            reduceLanes<Bits - bit, half>(warp, values, operation);
        } else {
            const auto received = warp.exchange(values[0], bit);
            warp.lanes([&](int lane) { values[0](lane) = operation(values[0](lane), received(lane)); });
            reduceLanes<Bits - bit, 1>(warp, values, operation);
        }
    }
}

template <unsigned Bits, int Count> constexpr int heldValues()
{
    if constexpr (Bits == 0 || Count == 1)
        return Count;
    else
        return heldValues<Bits - highestBit(Bits), Count / 2>();
}

template <unsigned Bits, int Count> KVLOUPE_DEVICE int firstHeld(int lane)
{
    if constexpr (Bits == 0 || Count == 1) {
        return 0;
    } else {
        constexpr int bit = static_cast<int>(highestBit(Bits));
        return ((lane & bit) != 0 ? Count / 2 : 0) + firstHeld<Bits - bit, Count / 2>(lane);
    }
}

/// Lanes with one of these bits hold what another lane holds too.
template <unsigned Bits, int Count> constexpr unsigned repeatedBits()
{
    if constexpr (Bits == 0 || Count == 1)
        return Bits;
    else
        return repeatedBits<Bits - highestBit(Bits), Count / 2>();
}

/// One value over the lanes of `Bits`; all of them get it.
template <unsigned Bits, typename Warp, typename Operation>
KVLOUPE_DEVICE void reduceLanes(Warp& warp, typename Warp::template Value<float>& value, Operation operation)
{
    reduceLanes<Bits, 1>(warp, &value, operation);
}

} // namespace kvloupe::cuda
