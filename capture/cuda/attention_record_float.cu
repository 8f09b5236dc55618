// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/cuda/attention_record.cuh"

namespace kvloupe::cuda {

template void recordAttention<float>(
    int, const AttentionInput<float>&, const AttentionOutput<float>&, int, cudaStream_t);
template int attentionBlockRows<float>(int);

} // namespace kvloupe::cuda
