// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/cuda/selection_block.h"

#include <cuda_runtime_api.h>

namespace kvloupe::cuda {

/// The best tokens of every set, in device memory; asynchronous on `stream`. Counts lie within [0, tokens]: the caller
/// has checked them. DeviceError for a launch that fails.
void selectBest(const SelectionInput& input, int sets, cudaStream_t stream);

/// Kept vectors into a ragged cache; `largestCount` of the heads.
void gatherKept(const GatherInput& input, int heads, int largestCount, cudaStream_t stream);

} // namespace kvloupe::cuda
