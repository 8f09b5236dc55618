// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/cuda/list_attention_block.h"
#include "capture/cuda/selection_block.h"
#include "capture/cuda/token_edits_block.h"

namespace kvloupe::cuda {

/// The kernels of compressed caches; see AttentionKernels.
class ListKernels {
public:
    virtual ~ListKernels() = default;

    virtual void attendLists(int headDim, const ListsInput<float>& input) = 0;
    virtual void attendLists(int headDim, const ListsInput<Bfloat16>& input) = 0;
    virtual void attendLists(int headDim, const ListsInput<Float16>& input) = 0;
    /// `lists`: on the device, [count].
    virtual void editTokens(int headDim, const TokenEdits<float>* lists, int count) = 0;
    virtual void editTokens(int headDim, const TokenEdits<Bfloat16>* lists, int count) = 0;
    virtual void editTokens(int headDim, const TokenEdits<Float16>* lists, int count) = 0;
    virtual void gatherKept(const GatherInput& input, int heads, int largestCount) = 0;
};

} // namespace kvloupe::cuda
