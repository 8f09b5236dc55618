// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/cuda/execution.h"

#include <type_traits>

namespace kvloupe::cuda {

/// The Warp of execution.h on the device (compute capability 8.0 or newer). Instructions and register layouts: PTX ISA,
/// "Warp-level matrix instructions" and "cp.async".
class DeviceWarp {
public:
    template <typename T> struct Value {
        __device__ __forceinline__ T& operator()(int) { return held; }
        __device__ __forceinline__ const T& operator()(int) const { return held; }
        T held;
    };

    __device__ __forceinline__ int index() const { return static_cast<int>(m_thread / warpLanes); }
    __device__ __forceinline__ int count() const { return static_cast<int>(blockDim.x) / warpLanes; }
    __device__ __forceinline__ int block(int axis) const
    {
        return static_cast<int>(axis == 0 ? blockIdx.x : axis == 1 ? blockIdx.y : blockIdx.z);
    }

    template <typename F> __device__ __forceinline__ void lanes(F&& f) { f(lane()); }

    __device__ __forceinline__ void barrier() { __syncthreads(); }
    __device__ __forceinline__ void sync() { __syncwarp(); }
    __device__ __forceinline__ void forget() { asm volatile("" : "+r"(m_thread)); }

    /// 16 bytes; zeros unless `valid`, when `from` is not read. Both are multiples of 16.
    __device__ __forceinline__ void copyAsync(int, void* to, const void* from, bool valid)
    {
        const int bytes = valid ? 16 : 0;
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;\n" ::"r"(sharedAddress(to)), "l"(from), "r"(bytes)
                     : "memory");
    }
    __device__ __forceinline__ void commitCopies() { asm volatile("cp.async.commit_group;\n" ::: "memory"); }
    /// Until every committed copy of this thread has landed.
    __device__ __forceinline__ void waitCopies() { asm volatile("cp.async.wait_group 0;\n" ::: "memory"); }

    template <bool transposed, typename F> __device__ __forceinline__ void loadMatrices(Value<Words>& to, F&& rowOfLane)
    {
        std::uint32_t(&x)[4] = to.held.x;
        const std::uint32_t address = sharedAddress(rowOfLane(lane()));
        if constexpr (transposed) {
            asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];\n"
                         : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3])
                         : "r"(address)
                         : "memory");
        } else {
            asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];\n"
                         : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3])
                         : "r"(address)
                         : "memory");
        }
    }

    /// `b`: words `first` and `first + 1` of the lane.
    template <typename Element, int first>
    __device__ __forceinline__ void multiply(Value<Accumulator>& c, const Value<Words>& a, const Value<Words>& b)
    {
        float(&x)[4] = c.held.x;
        const std::uint32_t(&rows)[4] = a.held.x;
        const std::uint32_t b0 = b.held.x[first];
        const std::uint32_t b1 = b.held.x[first + 1];
        if constexpr (std::is_same_v<Element, Bfloat16>) {
            asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
                         "{%8, %9}, {%0, %1, %2, %3};\n"
                         : "+f"(x[0]), "+f"(x[1]), "+f"(x[2]), "+f"(x[3])
                         : "r"(rows[0]), "r"(rows[1]), "r"(rows[2]), "r"(rows[3]), "r"(b0), "r"(b1));
        } else {
            asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
                         "{%8, %9}, {%0, %1, %2, %3};\n"
                         : "+f"(x[0]), "+f"(x[1]), "+f"(x[2]), "+f"(x[3])
                         : "r"(rows[0]), "r"(rows[1]), "r"(rows[2]), "r"(rows[3]), "r"(b0), "r"(b1));
        }
    }

    template <typename T> __device__ __forceinline__ Value<T> exchange(const Value<T>& value, int bit)
    {
        return {__shfl_xor_sync(0xffffffffU, value.held, bit)};
    }
    __device__ __forceinline__ std::uint32_t ballot(const Value<bool>& flags)
    {
        return __ballot_sync(0xffffffffU, flags.held);
    }
    __device__ __forceinline__ static void addTo(std::uint32_t* counter, std::uint32_t amount)
    {
        atomicAdd(counter, amount);
    }
    __device__ __forceinline__ static void lowerTo(std::uint32_t* least, std::uint32_t value)
    {
        atomicMin(least, value);
    }
    __device__ __forceinline__ static int bitsSet(std::uint32_t word) { return __popc(word); }

    template <typename Element> __device__ __forceinline__ static float power(float x)
    {
        if constexpr (std::is_same_v<Element, float>) {
            return expf(x);
        } else {
            float result;
            asm("ex2.approx.ftz.f32 %0, %1;\n" : "=f"(result) : "f"(x));
            return result;
        }
    }

    template <typename Element> __device__ __forceinline__ static std::uint32_t pack(float low, float high)
    {
        std::uint32_t word;
        if constexpr (std::is_same_v<Element, Bfloat16>)
            asm("cvt.rn.bf16x2.f32 %0, %1, %2;\n" : "=r"(word) : "f"(high), "f"(low));
        else
            asm("cvt.rn.f16x2.f32 %0, %1, %2;\n" : "=r"(word) : "f"(high), "f"(low));
        return word;
    }

private:
    __device__ __forceinline__ int lane() const { return static_cast<int>(m_thread % warpLanes); }
    __device__ __forceinline__ static std::uint32_t sharedAddress(const void* pointer)
    {
        return static_cast<std::uint32_t>(__cvta_generic_to_shared(pointer));
    }

    unsigned m_thread = threadIdx.x;
};

} // namespace kvloupe::cuda
