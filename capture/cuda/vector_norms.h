// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/cuda/vector_norms_block.h"

#include <cuda_runtime_api.h>

namespace kvloupe::cuda {

/// Euclidean norms of vectors in device memory, asynchronous on `stream`; Element is float, Bfloat16 or Float16.
/// DeviceError for a launch that fails.
template <typename Element> void computeNorms(const NormsInput<Element>& input, int heads, cudaStream_t stream);

} // namespace kvloupe::cuda
