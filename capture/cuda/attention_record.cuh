// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/cuda/attention_dispatch.h"
#include "capture/cuda/attention_record.h"
#include "capture/cuda/attention_record_block.h"
#include "capture/cuda/device_error.h"
#include "capture/cuda/device_warp.cuh"

namespace kvloupe::cuda {

template <typename Tiling, bool lean>
__global__ void __launch_bounds__(Tiling::warps* warpLanes)
    attentionRecordKernel(const __grid_constant__ AttentionInput<typename Tiling::Element> input,
        const __grid_constant__ AttentionOutput<typename Tiling::Element> output)
{
    extern __shared__ __align__(16) unsigned char memory[];
    DeviceWarp warp;
    AttentionBlock<DeviceWarp, Tiling, lean>(warp, input, output, *reinterpret_cast<typename Tiling::Shared*>(memory))
        .run();
}

template <typename Element>
void recordAttention(int headDim, const AttentionInput<Element>& input, const AttentionOutput<Element>& output,
    int launchHeads, cudaStream_t stream)
{
    withTiling<Element>(headDim, [&](auto tiling) {
        using Tiling = decltype(tiling);
        auto kernel = attentionRecordKernel<Tiling, false>;
        if constexpr (Tiling::tensorCores) {
            if (output.mapTiles == nullptr && (output.pooledSum == nullptr || output.poolFactor == 16))
                kernel = attentionRecordKernel<Tiling, true>;
        }
        constexpr int bytes = sizeof(typename Tiling::Shared);
        // 164 KiB are what a multiprocessor of compute capability 8.0 has, 1 KiB of each block is the system's.
        static_assert(!Tiling::tensorCores || 2 * (bytes + 1024) <= 164 * 1024, "registers have room for two blocks");
        requireSuccess(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes),
            "attention kernel: shared memory");
        kernel<<<dim3(static_cast<unsigned>(output.blocks), static_cast<unsigned>(launchHeads)),
            Tiling::warps * warpLanes, bytes, stream>>>(input, output);
        requireSuccess(cudaGetLastError(), "attention kernel");
    });
}

template <typename Element> int attentionBlockRows(int headDim)
{
    return withTiling<Element>(headDim, [](auto tiling) { return decltype(tiling)::blockRows; });
}

} // namespace kvloupe::cuda
