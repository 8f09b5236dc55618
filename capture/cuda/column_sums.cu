// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/cuda/attention_record.h"
#include "capture/cuda/attention_record_block.h"
#include "capture/cuda/device_error.h"
#include "capture/cuda/device_warp.cuh"

namespace kvloupe::cuda {

namespace {

constexpr int warps = 4;

__global__ void columnSumsKernel(ColumnSumParts input)
{
    DeviceWarp warp;
    addColumnSumParts(warp, input);
}

} // namespace

void reduceColumnSums(const ColumnSumParts& input, int launchHeads, cudaStream_t stream)
{
    const int keys = input.past + input.rows;
    const dim3 grid(static_cast<unsigned>((keys + warps * warpLanes - 1) / (warps * warpLanes)),
        static_cast<unsigned>(launchHeads));
    columnSumsKernel<<<grid, warps * warpLanes, 0, stream>>>(input);
    requireSuccess(cudaGetLastError(), "column sums kernel");
}

} // namespace kvloupe::cuda
