// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/cuda/device_needs.h"

#include "capture/checkpoint/model_estimate.h"
#include "capture/cuda/device_transformer.h"
#include "capture/cuda/pool_factor.h"
#include "core/recording/attention_recorder.h"
#include "core/recording/recording.h"

#include <algorithm>
#include <set>

namespace kvloupe::cuda {

namespace {

constexpr std::int64_t cellRows = AttentionRecorder::blockRows; // exist at once where whole rows go to the host

bool sendsRows(const DeviceRun& run)
{
    return run.kind == RecordKind::Statistics || run.rowOrder;
}

/// The levels that a recording holds of a map.
std::set<std::int64_t> levels(const DeviceRun& run)
{
    std::set<std::int64_t> factors{overviewFactor(run.promptTokens)};
    for (const int factor : pyramidFactors(run.promptTokens, run.kind))
        factors.insert(factor);
    return factors;
}

std::int64_t cellsAt(const DeviceRun& run, std::int64_t factor)
{
    const std::int64_t edge = (run.promptTokens + factor - 1) / factor;
    return edge * edge;
}

/// Row statistics, column sums, maxima and means of one head, as they go to the host.
std::int64_t summaryBytes(const DeviceRun& run)
{
    std::int64_t bytes = 5 * 4 * run.promptTokens;
    for (const std::int64_t factor : levels(run))
        bytes += 2 * 2 * cellsAt(run, factor);
    return bytes;
}

} // namespace

DeviceNeeds deviceNeeds(const ModelConfig& config, const DeviceRun& run)
{
    const ModelEstimate estimate = estimateModel(config);
    const std::int64_t n = run.promptTokens;
    const std::int64_t bytes = run.elementBytes;
    const std::int64_t queries = std::int64_t{config.numHeads} * config.headDim;
    const std::int64_t keys = std::int64_t{config.numKvHeads} * config.headDim;

    DeviceNeeds needs;
    needs.weights = static_cast<std::uint64_t>(estimate.parameters * bytes);
    needs.cache = static_cast<std::uint64_t>(2 * config.numLayers * keys * run.totalTokens * bytes);
    // The residual stream twice, and beside it norms in float32, an attention with RoPE in float32, or an MLP.
    const std::int64_t norm = 3 * 4 * n * config.hiddenSize;
    const std::int64_t attention = n * (queries + 2 * keys) * bytes + n * queries * (3 * bytes + 4 * 4);
    const std::int64_t mlp = 3 * n * config.intermediateSize * bytes;
    const std::int64_t logits = 3 * 4 * logitRows * config.vocabSize;
    needs.activations
        = static_cast<std::uint64_t>(2 * n * config.hiddenSize * bytes + std::max({norm, attention, mlp}) + logits);

    if (sendsRows(run)) {
        needs.work = static_cast<std::uint64_t>(4 * (4 * config.numHeads * n + cellRows * run.totalTokens));
    } else {
        // Beside what goes to the host column sums of every block of rows, and pooled cells in float32.
        const std::int64_t blockRows = bytes == 4 || config.headDim > 128 ? 64 : 128;
        const std::int64_t perHead = summaryBytes(run) + 4 * ((n + blockRows - 1) / blockRows * n)
            + 2 * 4 * cellsAt(run, poolFactorFor(*levels(run).begin()));
        const auto heads = std::clamp<std::int64_t>(
            static_cast<std::int64_t>(run.workBytes) / perHead, 1, std::int64_t{config.numHeads});
        needs.work = static_cast<std::uint64_t>(heads * perHead);
    }
    needs.ring = run.kind == RecordKind::Full ? run.ringBytes : 0;
    return needs;
}

std::uint64_t bytesToHost(const ModelConfig& config, const DeviceRun& run, std::uint64_t mapBytes)
{
    const std::int64_t heads = config.numHeads;
    const std::int64_t vectors = 4 * run.totalTokens * (2 * heads + 2 * config.numKvHeads) * config.headDim;
    const std::int64_t n = run.promptTokens;
    const std::int64_t attention = heads * (sendsRows(run) ? 4 * (4 * n + n * (n + cellRows) / 2) : summaryBytes(run));
    return static_cast<std::uint64_t>(config.numLayers * (vectors + attention)) + mapBytes;
}

} // namespace kvloupe::cuda
