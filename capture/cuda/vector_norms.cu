// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/cuda/vector_norms.h"

#include "capture/cuda/device_error.h"
#include "capture/cuda/device_warp.cuh"

namespace kvloupe::cuda {

namespace {

constexpr int warps = 4;

template <typename Element> __global__ void normsKernel(NormsInput<Element> input)
{
    DeviceWarp warp;
    vectorNorms(warp, input);
}

} // namespace

template <typename Element> void computeNorms(const NormsInput<Element>& input, int heads, cudaStream_t stream)
{
    const dim3 grid(static_cast<unsigned>((input.tokens + warps - 1) / warps), static_cast<unsigned>(heads));
    normsKernel<<<grid, warps * warpLanes, 0, stream>>>(input);
    requireSuccess(cudaGetLastError(), "norms kernel");
}

template void computeNorms(const NormsInput<float>&, int, cudaStream_t);
template void computeNorms(const NormsInput<Bfloat16>&, int, cudaStream_t);
template void computeNorms(const NormsInput<Float16>&, int, cudaStream_t);

} // namespace kvloupe::cuda
