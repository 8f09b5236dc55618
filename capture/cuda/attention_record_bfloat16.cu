// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/cuda/attention_record.cuh"

namespace kvloupe::cuda {

template void recordAttention<Bfloat16>(
    int, const AttentionInput<Bfloat16>&, const AttentionOutput<Bfloat16>&, int, cudaStream_t);
template int attentionBlockRows<Bfloat16>(int);

} // namespace kvloupe::cuda
