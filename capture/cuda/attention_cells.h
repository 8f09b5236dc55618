// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/cuda/attention_cells_block.h"

#include <cuda_runtime_api.h>

namespace kvloupe::cuda {

/// Cells of the map of `launchHeads` heads from queries, keys and log-sum-exps in device memory; asynchronous on
/// `stream`. Element and head_dim as in recordAttention.
template <typename Element>
void computeCells(int headDim, const AttentionInput<Element>& input, const CellsRequest<Element>& request,
    int launchHeads, cudaStream_t stream);

} // namespace kvloupe::cuda
