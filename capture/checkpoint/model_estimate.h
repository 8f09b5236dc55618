// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/checkpoint/model_config.h"

#include <cstdint>

namespace kvloupe {

/// What running a model costs, from its configuration alone; computed in float32 on the CPU.
struct ModelEstimate {
    std::int64_t parameters = 0; ///< numbers in the tensors that the architecture needs
    std::int64_t weightBytes = 0; ///< all of them in float32
    /// What one thread holds of them when they are streamed: a piece of a matrix in float32.
    std::int64_t streamedBytesPerThread = 0;
    std::int64_t cacheBytesPerToken = 0; ///< keys and values of all layers in float32
    double matrixFlopsPerToken = 0; ///< 2 per number of every matrix but the embedding
    double attentionFlopsPerPair = 0; ///< 4 * layers * heads * dimensions per query and key that it sees

    /// Of the prefill of a prompt of so many tokens.
    double prefillFlops(std::int64_t tokens) const;
};

ModelEstimate estimateModel(const ModelConfig& config);

} // namespace kvloupe
