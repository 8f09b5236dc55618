// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/cuda/pooled_maps.h"

#include "capture/cuda/device_error.h"
#include "capture/cuda/device_warp.cuh"

namespace kvloupe::cuda {

namespace {

constexpr int warps = 4;

__global__ void pooledMapsKernel(PooledMapsInput input)
{
    DeviceWarp warp;
    finishPooledMaps(warp, input);
}

} // namespace

void poolMaps(const PooledMapsInput& input, int heads, cudaStream_t stream)
{
    const auto edge = static_cast<unsigned>((input.tokens + input.factor - 1) / input.factor);
    const dim3 grid((edge + warps * warpLanes - 1) / (warps * warpLanes), edge, static_cast<unsigned>(heads));
    pooledMapsKernel<<<grid, warps * warpLanes, 0, stream>>>(input);
    requireSuccess(cudaGetLastError(), "pooled maps kernel");
}

} // namespace kvloupe::cuda
