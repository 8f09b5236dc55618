// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/cuda/attention_io.h"

#include <cuda_runtime_api.h>

namespace kvloupe::cuda {

/// Attention of one layer with everything that is recorded of it, in one launch (attention_record_block.h). Element is
/// float, Bfloat16 or Float16; head_dim one of attentionHeadDims. All pointers are device memory; asynchronous on
/// `stream`. Tensor cores multiply 16-bit elements (mma.sync), float is multiplied by fused multiply-adds.
///
/// Errors: DeviceError for a launch that fails, std::invalid_argument for a shape that the kernels do not have.
template <typename Element>
void recordAttention(int headDim, const AttentionInput<Element>& input, const AttentionOutput<Element>& output,
    int launchHeads, cudaStream_t stream);

/// Column sums from AttentionOutput::columnSumParts, parts in the order of their rows, in double.
void reduceColumnSums(const ColumnSumParts& input, int launchHeads, cudaStream_t stream);

/// Query rows that one block takes: what columnSumParts and launches by ranges of blocks count in.
template <typename Element> int attentionBlockRows(int headDim);

} // namespace kvloupe::cuda
