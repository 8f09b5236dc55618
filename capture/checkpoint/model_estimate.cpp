// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/checkpoint/model_estimate.h"

#include <algorithm>
#include <functional>
#include <numeric>

namespace kvloupe {

double ModelEstimate::prefillFlops(std::int64_t tokens) const
{
    const auto count = static_cast<double>(tokens);
    return count * matrixFlopsPerToken + attentionFlopsPerPair * count * (count + 1) / 2;
}

ModelEstimate estimateModel(const ModelConfig& config)
{
    ModelEstimate estimate;
    std::int64_t matrices = 0;
    for (const auto& [name, shape] : requiredTensors(config)) {
        const std::int64_t size
            = std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<std::int64_t>());
        estimate.parameters += size;
        // A tied embedding is also the output projection; one that is not is only looked up.
        if (shape.size() == 2 && (name != "model.embed_tokens.weight" || config.tiedEmbeddings))
            matrices += size;
    }
    const std::int64_t layers = config.numLayers;
    estimate.weightBytes = estimate.parameters * static_cast<std::int64_t>(sizeof(float));
    constexpr std::int64_t pieceOutputs = 512;
    estimate.streamedBytesPerThread = pieceOutputs * std::max(config.hiddenSize, config.intermediateSize)
        * static_cast<std::int64_t>(sizeof(float));
    estimate.cacheBytesPerToken
        = 2 * layers * config.numKvHeads * config.headDim * static_cast<std::int64_t>(sizeof(float));
    estimate.matrixFlopsPerToken = 2.0 * static_cast<double>(matrices);
    estimate.attentionFlopsPerPair = 4.0 * static_cast<double>(layers) * config.numHeads * config.headDim;
    return estimate;
}

} // namespace kvloupe
