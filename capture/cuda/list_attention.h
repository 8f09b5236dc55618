// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/cuda/list_attention_block.h"
#include "capture/cuda/token_edits_block.h"

#include <cuda_runtime_api.h>

namespace kvloupe::cuda {

/// Launches on `stream`. Head dimensions as the attention kernels; DeviceError.
template <typename Element> void attendLists(int headDim, const ListsInput<Element>& input, cudaStream_t stream);
template <typename Element>
void editTokens(int headDim, const TokenEdits<Element>* lists, int count, cudaStream_t stream);

} // namespace kvloupe::cuda
