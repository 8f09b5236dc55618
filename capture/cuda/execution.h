// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <cstdint>

/// How the programs of this folder run.
///
/// A kernel is written once, as the program of one warp: a function template over a `Warp` that has
///
///     index(), count()          the warp in its block, and the warps of the block
///     block(axis)               the block in the grid
///     lanes(f)                  f(lane) for the 32 lanes
///     Value<T>                  one T per lane: a register on the device, an array on the host; value(lane)
///     barrier(), sync()         for all warps of the block; for the lanes of this warp
///     copyAsync(), commitCopies(), waitCopies()   16 bytes to shared memory behind the program's back (cp.async)
///     loadMatrices<transposed>()   four 8 x 8 matrices of 16-bit numbers from shared memory (ldmatrix)
///     multiply<Element>()       c += a b, 16 x 16 x 8 (mma.sync.m16n8k16)
///     exchange(value, bit)      the value of the lane whose number differs in `bit` (shfl.xor)
///     ballot(flags)             one bit per lane
///     addTo(p, n), lowerTo(p, n)   atomic addition and minimum of integers
///     power<Element>(x)         e^x for float, 2^x (approximate on the device) for 16-bit elements
///     forget()                  numbers that follow from index() and lane are computed anew after it, which frees
///                               registers
///     pack<Element>(low, high)  two floats rounded to nearest even, in one word
///
/// DeviceWarp (device_warp.cuh) maps these to instructions: it is all that is device-only. The tests' HostWarp runs the
/// same programs on the CPU, each warp of a block on a thread of its own, with the register layouts that the PTX manual
/// gives for ldmatrix and mma, so that every loop, index, mask, reduction and barrier is what the device executes.
#if defined(__CUDACC__)
#define KVLOUPE_DEVICE __device__ __forceinline__
#define KVLOUPE_ANYWHERE __host__ __device__ __forceinline__
#define KVLOUPE_UNROLLED _Pragma("unroll")
#define KVLOUPE_NOT_UNROLLED _Pragma("unroll 1")
#else
#define KVLOUPE_DEVICE inline
#define KVLOUPE_ANYWHERE inline
#define KVLOUPE_UNROLLED
#define KVLOUPE_NOT_UNROLLED
#endif

namespace kvloupe::cuda {

/// Numbers of 16 bits, as bits: brain float, and IEEE binary16.
struct Bfloat16 {
    std::uint16_t bits;
};
struct Float16 {
    std::uint16_t bits;
};

inline constexpr int warpLanes = 32;

/// What one lane holds of a 16 x 8 product: rows lane / 4 and lane / 4 + 8, columns 2 (lane % 4) and the next; x[0..1]
/// are of the first row.
struct Accumulator {
    float x[4];
};

/// Four words of a lane: the operand of 16 rows, or four 8 x 8 matrices.
struct Words {
    std::uint32_t x[4];
};

} // namespace kvloupe::cuda
