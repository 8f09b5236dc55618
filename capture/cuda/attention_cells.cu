// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/cuda/attention_cells.h"

#include "capture/cuda/attention_dispatch.h"
#include "capture/cuda/device_error.h"
#include "capture/cuda/device_warp.cuh"

namespace kvloupe::cuda {

namespace {

template <typename Tiling>
__global__ void __launch_bounds__(Tiling::warps* warpLanes)
    cellsKernel(const __grid_constant__ AttentionInput<typename Tiling::Element> input,
        const __grid_constant__ CellsRequest<typename Tiling::Element> request)
{
    extern __shared__ __align__(16) unsigned char memory[];
    DeviceWarp warp;
    attentionCells<Tiling>(warp, input, request, *reinterpret_cast<typename Tiling::Shared*>(memory));
}

} // namespace

template <typename Element>
void computeCells(int headDim, const AttentionInput<Element>& input, const CellsRequest<Element>& request,
    int launchHeads, cudaStream_t stream)
{
    withTiling<Element>(headDim, [&](auto tiling) {
        using Tiling = decltype(tiling);
        const auto kernel = cellsKernel<Tiling>;
        constexpr int bytes = sizeof(typename Tiling::Shared);
        requireSuccess(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes),
            "map cells kernel: shared memory");
        const dim3 grid(static_cast<unsigned>((request.rows + Tiling::blockRows - 1) / Tiling::blockRows),
            static_cast<unsigned>((request.columns + Tiling::keys - 1) / Tiling::keys),
            static_cast<unsigned>(launchHeads));
        kernel<<<grid, Tiling::warps * warpLanes, bytes, stream>>>(input, request);
        requireSuccess(cudaGetLastError(), "map cells kernel");
    });
}

template void computeCells(int, const AttentionInput<float>&, const CellsRequest<float>&, int, cudaStream_t);
template void computeCells(int, const AttentionInput<Bfloat16>&, const CellsRequest<Bfloat16>&, int, cudaStream_t);
template void computeCells(int, const AttentionInput<Float16>&, const CellsRequest<Float16>&, int, cudaStream_t);

} // namespace kvloupe::cuda
