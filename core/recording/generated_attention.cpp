// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/recording/attention_recorder_state.h"

#include "core/recording/vector_statistics.h"

#include <fmt/format.h>

#include <algorithm>

namespace kvloupe {

namespace {

constexpr std::int64_t flushTokens = 64; // gathered before they are written

/// [tokens, heads, dim] to [heads, tokens, dim].
std::vector<float> headsFirst(const std::vector<float>& array, std::int64_t tokens, std::int64_t dim)
{
    std::vector<float> result(array.size());
    const std::int64_t heads = std::ssize(array) / (tokens * dim);
    for (std::int64_t t = 0; t < tokens; ++t) {
        for (std::int64_t h = 0; h < heads; ++h) {
            std::copy_n(array.begin() + (t * heads + h) * dim, dim, result.begin() + (h * tokens + t) * dim);
        }
    }
    return result;
}

} // namespace

void AttentionRecorder::State::beginGenerated(const LayerVectors& vectors)
{
    GeneratedRun& run = generated[index(vectors.layer)];
    if (run.tokens == 0) {
        run.tokenBegin = vectors.tokenBegin;
    }
    if (vectors.tokens != 1 || vectors.tokenBegin != run.tokenBegin + run.tokens
        || vectors.tokenBegin >= maximumTokens) {
        throw RecordingError(
            fmt::format("layer {}: generated tokens {} to {}, expected token {} alone, below {}", vectors.layer,
                vectors.tokenBegin, vectors.tokenBegin + vectors.tokens, run.tokenBegin + run.tokens, maximumTokens));
    }
    ++run.tokens;
    const auto append = [](std::vector<float>& to, std::span<const float> values) {
        to.insert(to.end(), values.begin(), values.end());
    };
    if (keepsVectors()) {
        append(run.vectors[VectorArray::Queries], vectors.queries);
        append(run.vectors[VectorArray::Keys], vectors.keys);
        append(run.vectors[VectorArray::Values], vectors.values);
    }
    append(run.arrays[TokenArray::KeyNorm], euclideanNorms(vectors.keys, model.headDim));
    append(run.arrays[TokenArray::ValueNorm], euclideanNorms(vectors.values, model.headDim));
    if (!vectors.outputValueNorms.empty()) {
        append(run.arrays[TokenArray::OutputValueNorm1], vectors.outputValueNorms);
    }
    for (const TokenArray array : rowArrayKinds()) {
        run.arrays[array].resize(index(run.tokens * model.numHeads * valuesPerRow(array)));
    }
    position = vectors.tokenBegin;
    decodeRow.assign(mapHeads(vectors.layer).size() * index(position + 1), 0);
}

void AttentionRecorder::State::generatedRow(
    int layer, int head, std::int64_t query, std::span<const float> probabilities, const RowStatistics& statistics)
{
    GeneratedRun& run = generated[index(layer)];
    const std::int64_t at = (query - run.tokenBegin) * model.numHeads + head;
    storeRow(run.arrays, at, statistics, probabilities.first(index(query + 1)), scratch.local());
    const auto& maps = mapHeads(layer);
    const auto found = std::lower_bound(maps.begin(), maps.end(), head);
    if (found != maps.end() && *found == head) {
        const auto length = index(query + 1);
        floatsToHalves(
            probabilities.first(length), std::span(decodeRow).subspan(index(found - maps.begin()) * length, length));
    }
}

void AttentionRecorder::State::endGenerated(int layer)
{
    if (!decodeRow.empty() && options.decodeRows != 0) {
        const std::int64_t generatedIndex = position - promptTokens;
        if (options.decodeRows < 0) {
            writer.writeDecodeRow(layer, generatedIndex, std::move(decodeRow));
        } else {
            auto& held = heldRows[index(layer)];
            held.emplace_back(generatedIndex, std::move(decodeRow));
            if (std::ssize(held) > options.decodeRows) {
                held.pop_front();
            }
        }
    }
    decodeRow.clear();
    if (generated[index(layer)].tokens >= flushTokens) {
        flushGenerated(layer);
    }
}

void AttentionRecorder::State::flushGenerated(int layer)
{
    GeneratedRun& run = generated[index(layer)];
    if (run.tokens == 0) {
        return;
    }
    for (const auto& [array, values] : run.arrays) {
        writer.write(layer, array, run.tokenBegin, run.tokens, headsFirst(values, run.tokens, valuesPerRow(array)));
    }
    for (const auto& [array, values] : run.vectors) {
        writer.writeVectors(layer, array, run.tokenBegin, run.tokens, headsFirst(values, run.tokens, model.headDim));
    }
    run = {};
}

} // namespace kvloupe
