// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/cuda/pooled_maps_block.h"

#include <cuda_runtime_api.h>

namespace kvloupe::cuda {

/// One level of a pyramid, or the overview, in device memory; asynchronous on `stream`. DeviceError for a launch that
/// fails.
void poolMaps(const PooledMapsInput& input, int heads, cudaStream_t stream);

} // namespace kvloupe::cuda
