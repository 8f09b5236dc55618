// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/cuda/attention_record.cuh"

namespace kvloupe::cuda {

template void recordAttention<Float16>(
    int, const AttentionInput<Float16>&, const AttentionOutput<Float16>&, int, cudaStream_t);
template int attentionBlockRows<Float16>(int);

} // namespace kvloupe::cuda
