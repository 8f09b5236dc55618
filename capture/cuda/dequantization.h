// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/cuda/dequantization_block.h"

#include <cuda_runtime_api.h>

namespace kvloupe::cuda {

/// Values of a stored type, whole blocks, in device memory, to Element (float, Bfloat16 or Float16, rounded to nearest
/// even); asynchronous on `stream`. Float gets the bits of core's dequantize. DeviceError for a launch that fails.
template <typename Element>
void dequantizeOnDevice(DataType type, const DequantizationInput<Element>& input, cudaStream_t stream);

} // namespace kvloupe::cuda
