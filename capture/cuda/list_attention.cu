// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/cuda/list_attention.h"

#include "capture/cuda/attention_dispatch.h"
#include "capture/cuda/device_error.h"
#include "capture/cuda/device_warp.cuh"

namespace kvloupe::cuda {

namespace {

constexpr int finishWarps = 4;
constexpr int editWarps = 8;

template <int headDim, typename Element>
__global__ void __launch_bounds__(ListShared<headDim>::warps* warpLanes) partKernel(ListsInput<Element> input)
{
    __shared__ ListShared<headDim> shared;
    DeviceWarp warp;
    attendListPart(warp, input, shared);
}

template <int headDim, typename Element> __global__ void finishKernel(ListsInput<Element> input)
{
    DeviceWarp warp;
    finishList<headDim>(warp, input);
}

template <typename Element> __global__ void editKernel(const TokenEdits<Element>* lists, int headDim)
{
    DeviceWarp warp;
    editTokens(warp, lists, headDim);
}

} // namespace

template <typename Element> void attendLists(int headDim, const ListsInput<Element>& input, cudaStream_t stream)
{
    if (input.listCount == 0)
        return;
    withTiling<Element>(headDim, [&](auto tiling) {
        constexpr int dim = decltype(tiling)::headDim;
        if (input.partCount > 0) {
            partKernel<dim, Element>
                <<<static_cast<unsigned>(input.partCount), ListShared<dim>::warps * warpLanes, 0, stream>>>(input);
            requireSuccess(cudaGetLastError(), "list attention kernel");
        }
        const dim3 grid(static_cast<unsigned>(input.listCount), static_cast<unsigned>(input.largestHeads));
        finishKernel<dim, Element><<<grid, finishWarps * warpLanes, 0, stream>>>(input);
        requireSuccess(cudaGetLastError(), "list attention kernel");
    });
}

template <typename Element>
void editTokens(int headDim, const TokenEdits<Element>* lists, int count, cudaStream_t stream)
{
    if (count == 0)
        return;
    editKernel<<<static_cast<unsigned>(count), editWarps * warpLanes, 0, stream>>>(lists, headDim);
    requireSuccess(cudaGetLastError(), "token edit kernel");
}

template void attendLists(int, const ListsInput<float>&, cudaStream_t);
template void attendLists(int, const ListsInput<Bfloat16>&, cudaStream_t);
template void attendLists(int, const ListsInput<Float16>&, cudaStream_t);
template void editTokens(int, const TokenEdits<float>*, int, cudaStream_t);
template void editTokens(int, const TokenEdits<Bfloat16>*, int, cudaStream_t);
template void editTokens(int, const TokenEdits<Float16>*, int, cudaStream_t);

} // namespace kvloupe::cuda
