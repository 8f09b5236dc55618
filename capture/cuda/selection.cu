// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/cuda/selection.h"

#include "capture/cuda/device_error.h"
#include "capture/cuda/device_warp.cuh"

namespace kvloupe::cuda {

namespace {

constexpr int gatherWarps = 4;

__global__ void selectionKernel(SelectionInput input)
{
    __shared__ SelectionShared shared;
    DeviceWarp warp;
    selectTop(warp, input, shared);
}

__global__ void gatherKernel(GatherInput input)
{
    DeviceWarp warp;
    gatherVectors(warp, input);
}

} // namespace

void selectBest(const SelectionInput& input, int sets, cudaStream_t stream)
{
    selectionKernel<<<static_cast<unsigned>(sets), SelectionShared::warps * warpLanes, 0, stream>>>(input);
    requireSuccess(cudaGetLastError(), "selection kernel");
}

void gatherKept(const GatherInput& input, int heads, int largestCount, cudaStream_t stream)
{
    if (largestCount == 0)
        return;
    const dim3 grid(
        static_cast<unsigned>((largestCount + gatherWarps - 1) / gatherWarps), static_cast<unsigned>(heads));
    gatherKernel<<<grid, gatherWarps * warpLanes, 0, stream>>>(input);
    requireSuccess(cudaGetLastError(), "gather kernel");
}

} // namespace kvloupe::cuda
