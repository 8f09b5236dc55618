// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/cuda/device_transformer.h"

#include "capture/adapter/adapter.h"
#include "capture/checkpoint/checkpoint.h"
#include "capture/cuda/attention_dispatch.h"
#include "capture/cuda/device_transformer_state.h"
#include "capture/model/next_token.h"
#include "capture/model/prompt_check.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <functional>
#include <limits>
#include <numeric>
#include <optional>
#include <utility>

namespace kvloupe::cuda {

namespace {

constexpr int likeliest = NextToken::candidates;

} // namespace

std::string_view computeTypeName(ComputeType type)
{
    switch (type) {
    case ComputeType::Float32:
        return "float32";
    case ComputeType::Bfloat16:
        return "bf16";
    case ComputeType::Float16:
        return "fp16";
    }
    return "";
}

DeviceCache::DeviceCache(std::unique_ptr<State> state)
    : m_state(std::move(state))
{
}

DeviceCache::~DeviceCache() = default;
DeviceCache::DeviceCache(DeviceCache&&) noexcept = default;
DeviceCache& DeviceCache::operator=(DeviceCache&&) noexcept = default;

std::int64_t DeviceCache::size() const
{
    return m_state->size;
}

DeviceTransformer::DeviceTransformer(std::unique_ptr<State> state)
    : m_state(std::move(state))
{
}

DeviceTransformer::~DeviceTransformer() = default;

const ModelConfig& DeviceTransformer::config() const
{
    return m_state->config;
}

std::unique_ptr<DeviceTransformer> DeviceTransformer::load(
    const Checkpoint& checkpoint, AttentionKernels& kernels, const Options& options)
{
    const ModelConfig& config = checkpoint.config();
    if (options.adapter)
        options.adapter->check(config);
    if (std::ranges::find(attentionHeadDims, config.headDim) == attentionHeadDims.end()) {
        throw ModelError(fmt::format("model {}: found a head dimension of {}, the kernels have {}", config.name,
            config.headDim, fmt::join(attentionHeadDims, ", ")));
    }
    auto state = std::make_unique<State>(config, kernels, options);
    translated([&] {
        const c10::InferenceMode inference;
        state->runner.enter([&] {
            const ModelWeights streamed
                = loadWeights(checkpoint, options.adapter, WeightPlacement::Streamed, state->runner, {});
            state->weights
                = copyWeights(streamed, kernels, state->device, state->type, state->runner, options.progress);
        });
    });
    return std::unique_ptr<DeviceTransformer>(new DeviceTransformer(std::move(state)));
}

std::unique_ptr<DeviceTransformer> DeviceModel::load(const Checkpoint& checkpoint, AttentionKernels& kernels,
    std::shared_ptr<const Adapter> adapter, int threads, const std::function<bool(double)>& progress) const
{
    return DeviceTransformer::load(checkpoint, kernels, {type, onCpu, threads, std::move(adapter), progress});
}

DeviceCache DeviceTransformer::makeCache(std::int64_t capacity) const
{
    return translated([&] {
        const c10::InferenceMode inference;
        auto cache = std::make_unique<DeviceCache::State>();
        cache->capacity = std::min(capacity, m_state->config.maxPositions);
        const at::TensorOptions options = at::TensorOptions(m_state->device).dtype(m_state->type);
        for (int layer = 0; layer < m_state->config.numLayers; ++layer) {
            for (std::vector<at::Tensor>* tensors : {&cache->keys, &cache->values})
                tensors->push_back(
                    at::empty({cache->capacity, m_state->config.numKvHeads, m_state->config.headDim}, options));
        }
        return DeviceCache(std::move(cache));
    });
}

PrefillResult DeviceTransformer::State::predict(const at::Tensor& hidden, std::span<const std::int32_t> ids) const
{
    PrefillResult result;
    const std::int64_t n = hidden.size(0);
    for (std::int64_t begin = 0; begin < n; begin += logitRows) {
        const std::int64_t rows = std::min(logitRows, n - begin);
        const at::Tensor ofRows = logits(hidden.narrow(0, begin, rows)); // (rows, V)
        predictRows(ofRows, ids.subspan(static_cast<std::size_t>(begin + 1)), result);
        if (begin + rows == n) {
            const at::Tensor last = ofRows[rows - 1].contiguous().to(at::kCPU);
            result.lastLogits.assign(floats(last).begin(), floats(last).end());
        }
    }
    return result;
}

/// `targets`: the tokens after each row, as far as there are any.
void DeviceTransformer::State::predictRows(
    const at::Tensor& logits, std::span<const std::int32_t> targets, PrefillResult& result) const
{
    const std::int64_t rows = logits.size(0);
    const std::int64_t count = std::min<std::int64_t>(likeliest, logits.size(1));
    const at::TensorOptions options(device);
    const at::Tensor counts = at::full({rows}, count, options.dtype(at::kInt));
    const at::Tensor offsets = at::arange(rows, options.dtype(at::kLong)) * count;
    const at::Tensor kept = at::empty({rows, count}, options.dtype(at::kInt));
    const at::Tensor contiguous = logits.contiguous();
    kernels.selectBest({contiguous.data_ptr<float>(), static_cast<int>(logits.size(1)), counts.data_ptr<int>(),
                           offsets.data_ptr<std::int64_t>(), kept.data_ptr<int>()},
        static_cast<int>(rows));
    const at::Tensor ids = kept.to(at::kLong);
    const at::Tensor hostIds = ids.to(at::kCPU);
    const at::Tensor hostLogits = contiguous.gather(1, ids).contiguous().to(at::kCPU);
    const at::Tensor logSumExp = at::logsumexp(contiguous, 1).to(at::kCPU);
    const auto known = static_cast<std::int64_t>(std::min(targets.size(), static_cast<std::size_t>(rows)));
    const at::Tensor hostTargets
        = contiguous.narrow(0, 0, known)
              .gather(1, indicesOn({targets.begin(), targets.begin() + known}, device).unsqueeze(1))
              .contiguous()
              .to(at::kCPU);
    for (std::int64_t row = 0; row < rows; ++row) {
        const float normaliser = floats(logSumExp)[static_cast<std::size_t>(row)];
        if (row < known)
            result.nll.push_back(normaliser - floats(hostTargets)[static_cast<std::size_t>(row)]);
        std::array<std::pair<float, std::int32_t>, likeliest> best;
        best.fill({-std::numeric_limits<float>::infinity(), -1});
        for (std::int64_t i = 0; i < count; ++i) {
            const auto at = static_cast<std::size_t>(row * count + i);
            best[static_cast<std::size_t>(i)]
                = {floats(hostLogits)[at], static_cast<std::int32_t>(hostIds.data_ptr<std::int64_t>()[at])};
        }
        // The kernel gives them by ascending id, and equal logits stay so.
        std::ranges::stable_sort(best, std::greater(), &std::pair<float, std::int32_t>::first);
        for (const auto& [logit, id] : best) {
            result.topIds.push_back(id);
            result.topLogprobs.push_back(logit - normaliser);
        }
    }
}

PrefillResult DeviceTransformer::prefill(std::span<const std::int32_t> ids, DeviceCache& cache,
    const std::function<bool(double)>& progress, const DeviceRecording* recording) const
{
    const State& state = *m_state;
    const ModelConfig& config = state.config;
    DeviceCache::State& held = *cache.m_state;
    const std::int64_t n = std::ssize(ids);
    const std::int64_t end = held.size + n;
    requirePrompt(config, ids, end);
    requireSameRope(config, held.size, end);
    if (end > held.capacity)
        throw ModelError(fmt::format("cache: found {} tokens, it has room for {}", end, held.capacity));

    PrefillResult result = translated([&] {
        const c10::InferenceMode inference;
        WorkMeter meter(progress, static_cast<double>(config.numLayers + 1));
        std::vector<std::int64_t> positions(ids.size());
        std::iota(positions.begin(), positions.end(), held.size);
        const std::vector<RopeTensors> ropes = state.ropes(positions, std::vector<std::int64_t>(ids.size(), end));
        at::Tensor hidden = state.embed(ids); // (n, hidden)
        for (int layer = 0; layer < config.numLayers; ++layer) {
            const LayerProjection projection = state.project(layer, hidden, state.ropeOf(layer, ropes));
            held.store(layer, projection);
            const bool recorded = recording != nullptr && recording->recorder.wantsLayer(layer);
            std::optional<HostVectors> vectors;
            at::Tensor norms;
            if (recorded) {
                vectors.emplace(projection, true);
                LayerVectors view = vectors->view(layer, held.size);
                if (recording->outputNorms)
                    norms = state.outputValueNorms(layer, projection.values);
                view.outputValueNorms = floats(norms);
                const LayerOptions& options = recording->options[static_cast<std::size_t>(layer)];
                recording->recorder.beginLayer(view, options.window, options.rope);
            }
            const at::Tensor context
                = at::empty({n, std::int64_t{config.numHeads} * config.headDim}, projection.queries.options());
            state.withElement([&](auto element) {
                const auto attention = state.attentionOf<decltype(element)>(layer, projection.queries,
                    held.keys[static_cast<std::size_t>(layer)], held.values[static_cast<std::size_t>(layer)], held.size,
                    context);
                if (!recorded)
                    attend(state.kernels, attention);
                else if (held.size == 0)
                    recording->layers.prompt(attention);
                else
                    recording->layers.generated(attention);
            });
            if (recorded)
                recording->recorder.endLayer(layer);
            hidden = state.afterAttention(layer, hidden, context);
            meter.advance(1.0);
        }
        PrefillResult predicted = state.predict(hidden, ids);
        if (recording != nullptr)
            recording->layers.finish();
        meter.finish();
        return predicted;
    });
    float first = std::numeric_limits<float>::quiet_NaN();
    if (!held.lastLogits.empty()) {
        NextToken next;
        next.add(held.lastLogits, 0);
        first = static_cast<float>(
            next.logSumExp() - static_cast<double>(held.lastLogits[static_cast<std::size_t>(ids.front())]));
    }
    result.nll.insert(result.nll.begin(), first);
    held.size = end;
    held.lastLogits = result.lastLogits;
    return result;
}

DecodeResult DeviceTransformer::decode(std::int32_t id, DeviceCache& cache, const DeviceRecording* recording) const
{
    PrefillResult one = prefill(std::span(&id, 1), cache, {}, recording);
    DecodeResult result;
    result.logits = std::move(one.lastLogits);
    result.nll = one.nll.front();
    std::ranges::copy(one.topIds, result.topIds.begin());
    std::ranges::copy(one.topLogprobs, result.topLogprobs.begin());
    return result;
}

} // namespace kvloupe::cuda
