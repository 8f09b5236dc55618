// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/cuda/dequantization.h"

#include "capture/cuda/device_error.h"
#include "capture/cuda/device_warp.cuh"

namespace kvloupe::cuda {

namespace {

constexpr int warps = 8;
constexpr std::int64_t valuesPerBlock = 4 * warps * warpLanes;

template <DataType type, typename Element> __global__ void dequantizationKernel(DequantizationInput<Element> input)
{
    DeviceWarp warp;
    dequantizeBlocks<type>(warp, input);
}

} // namespace

template <typename Element>
void dequantizeOnDevice(DataType type, const DequantizationInput<Element>& input, cudaStream_t stream)
{
    if (input.values == 0)
        return;
    const auto grid = static_cast<unsigned>((input.values + valuesPerBlock - 1) / valuesPerBlock);
    withDataType(type, [&](auto constant) {
        dequantizationKernel<decltype(constant)::value><<<grid, warps * warpLanes, 0, stream>>>(input);
    });
    requireSuccess(cudaGetLastError(), "dequantisation kernel");
}

template void dequantizeOnDevice(DataType, const DequantizationInput<float>&, cudaStream_t);
template void dequantizeOnDevice(DataType, const DequantizationInput<Bfloat16>&, cudaStream_t);
template void dequantizeOnDevice(DataType, const DequantizationInput<Float16>&, cudaStream_t);

} // namespace kvloupe::cuda
