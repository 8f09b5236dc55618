// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/cuda/device_transformer.h"

#include "capture/adapter/adapter.h"
#include "capture/checkpoint/checkpoint.h"
#include "capture/cuda/attention_dispatch.h"
#include "capture/cuda/device_weights.h"
#include "capture/model/model_error.h"
#include "capture/model/next_token.h"
#include "capture/model/prompt_check.h"
#include "capture/model/rope.h"
#include "capture/model/task_runner.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <functional>
#include <limits>
#include <numeric>
#include <utility>

namespace kvloupe::cuda {

namespace {

constexpr std::int64_t logitRows = 256; // whose logits exist at once
constexpr int likeliest = NextToken::candidates;

at::ScalarType scalarType(ComputeType type)
{
    switch (type) {
    case ComputeType::Float32:
        return at::kFloat;
    case ComputeType::Bfloat16:
        return at::kBFloat16;
    case ComputeType::Float16:
        return at::kHalf;
    }
    return at::kFloat;
}

at::Tensor onDevice(const std::vector<std::int64_t>& values, at::Device device)
{
    at::Tensor host = at::empty({std::ssize(values)}, at::kLong);
    std::ranges::copy(values, host.data_ptr<std::int64_t>());
    return host.to(device);
}

/// [tokens, heads, head_dim] to float32 [heads, tokens, head_dim] on the host.
at::Tensor byHead(const at::Tensor& vectors)
{
    return vectors.to(at::kFloat).permute({1, 0, 2}).contiguous().to(at::kCPU);
}

std::span<const float> floats(const at::Tensor& tensor)
{
    if (!tensor.defined())
        return {};
    return {tensor.data_ptr<float>(), static_cast<std::size_t>(tensor.numel())};
}

/// What LibTorch says of memory that it does not get becomes an error of ours, which has the numbers in its first line.
template <typename F> auto translated(F&& f)
{
    try {
        return f();
    } catch (const c10::Error& error) {
        const std::string what = error.what_without_backtrace();
        const std::string line = what.substr(0, what.find('\n'));
        if (what.find("out of memory") != std::string::npos)
            throw DeviceMemoryError("device: " + line);
        throw ModelError("device: " + line);
    }
}

/// Cosines and sines of the rows of a pass for one variant of RoPE, [n, 1, head_dim / 2].
struct RopeTensors {
    RopeTensors(const RopeTable& table, std::int64_t half, at::Device device)
    {
        at::Tensor hostCosines = at::empty({table.rows(), 1, half}, at::kFloat);
        at::Tensor hostSines = at::empty({table.rows(), 1, half}, at::kFloat);
        for (std::int64_t row = 0; row < table.rows(); ++row) {
            std::ranges::copy(table.cosines(row), hostCosines.data_ptr<float>() + row * half);
            std::ranges::copy(table.sines(row), hostSines.data_ptr<float>() + row * half);
        }
        cosines = hostCosines.to(device);
        sines = hostSines.to(device);
    }

    at::Tensor turn(const at::Tensor& vectors) const
    {
        const std::int64_t half = vectors.size(2) / 2;
        const at::Tensor x = vectors.to(at::kFloat);
        const at::Tensor a = x.narrow(2, 0, half);
        const at::Tensor b = x.narrow(2, half, half);
        return at::cat({a * cosines - b * sines, b * cosines + a * sines}, 2).to(vectors.scalar_type());
    }

    at::Tensor cosines;
    at::Tensor sines;
};

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

struct DeviceCache::State {
    std::vector<at::Tensor> keys; // per layer: [capacity, kv_heads, head_dim], after RoPE
    std::vector<at::Tensor> values;
    std::int64_t capacity = 0;
    std::int64_t size = 0;
    std::vector<float> lastLogits; // after the newest token
};

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

struct DeviceTransformer::State {
    State(ModelConfig modelConfig, AttentionKernels& attentionKernels, const Options& options)
        : config(std::move(modelConfig))
        , kernels(attentionKernels)
        , device(options.onCpu ? at::kCPU : at::kCUDA)
        , type(scalarType(options.type))
        , runner(options.threads)
    {
    }

    at::Tensor normalised(const at::Tensor& x, const at::Tensor& gain) const;
    at::Tensor added(const at::Tensor& hidden, const at::Tensor& given, const at::Tensor& outputNorm) const;
    at::Tensor embed(std::span<const std::int32_t> ids) const;
    at::Tensor attention(int layer, const at::Tensor& normed, const RopeTensors& rope, DeviceCache::State& cache,
        const DeviceRecording* recording) const;
    template <typename Element>
    void attend(int layer, const at::Tensor& queries, const at::Tensor& context, const DeviceCache::State& cache,
        const DeviceRecording* recording) const;
    at::Tensor outputValueNorms(int layer, const at::Tensor& values) const;
    PrefillResult predict(const at::Tensor& normed, std::span<const std::int32_t> ids) const;
    void predictRows(const at::Tensor& logits, std::span<const std::int32_t> targets, PrefillResult& result) const;

    ModelConfig config;
    AttentionKernels& kernels;
    at::Device device;
    at::ScalarType type;
    TaskRunner runner;
    DeviceWeights weights;
};

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
            state->weights = copyWeights(streamed, state->device, state->type, state->runner, options.progress);
        });
    });
    return std::unique_ptr<DeviceTransformer>(new DeviceTransformer(std::move(state)));
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

/// RMSNorm over the last dimension, computed in float32.
at::Tensor DeviceTransformer::State::normalised(const at::Tensor& x, const at::Tensor& gain) const
{
    const at::Tensor wide = x.to(at::kFloat);
    const at::Tensor scale = at::rsqrt(wide.square().mean(-1, true) + config.rmsNormEps);
    return (wide * scale * gain).to(type);
}

at::Tensor DeviceTransformer::State::added(
    const at::Tensor& hidden, const at::Tensor& given, const at::Tensor& outputNorm) const
{
    return hidden + (outputNorm.defined() ? normalised(given, outputNorm) : given);
}

at::Tensor DeviceTransformer::State::embed(std::span<const std::int32_t> ids) const
{
    const at::Tensor rows = weights.embedding.index_select(0, onDevice({ids.begin(), ids.end()}, device));
    return config.embeddingScale == 1.0 ? rows : rows * config.embeddingScale;
}

at::Tensor DeviceTransformer::State::attention(int layer, const at::Tensor& normed, const RopeTensors& rope,
    DeviceCache::State& cache, const DeviceRecording* recording) const
{
    const DeviceLayerWeights& layerWeights = weights.layers[static_cast<std::size_t>(layer)];
    const std::int64_t n = normed.size(0);
    const std::int64_t d = config.headDim;
    const std::int64_t H = config.numHeads;
    const std::int64_t K = config.numKvHeads;
    const at::Tensor projected = layerWeights.qkv(normed); // (n, (H + 2 K) d)
    const auto part = [&](std::int64_t firstHead, std::int64_t heads) {
        return projected.narrow(1, firstHead * d, heads * d).reshape({n, heads, d});
    };
    at::Tensor queries = part(0, H);
    at::Tensor keys = part(H, K);
    const at::Tensor values = part(H + K, K);
    if (layerWeights.queryNorm.defined()) {
        queries = normalised(queries, layerWeights.queryNorm);
        keys = normalised(keys, layerWeights.keyNorm);
    }
    const at::Tensor queriesBeforeRope = queries;
    queries = rope.turn(queries).contiguous();
    keys = rope.turn(keys);
    cache.keys[static_cast<std::size_t>(layer)].narrow(0, cache.size, n).copy_(keys);
    cache.values[static_cast<std::size_t>(layer)].narrow(0, cache.size, n).copy_(values);

    const bool recorded = recording != nullptr && recording->recorder.wantsLayer(layer);
    if (recorded) {
        const at::Tensor hostQueries = byHead(queries);
        const at::Tensor hostKeys = byHead(keys);
        const at::Tensor hostValues = byHead(values);
        const at::Tensor hostBefore = byHead(queriesBeforeRope);
        const at::Tensor norms = recording->outputNorms ? outputValueNorms(layer, values) : at::Tensor();
        const LayerOptions& options = recording->options[static_cast<std::size_t>(layer)];
        recording->recorder.beginLayer({layer, cache.size, n, floats(hostQueries), floats(hostKeys), floats(hostValues),
                                           floats(hostBefore), floats(norms)},
            options.window, options.rope);
    }
    const at::Tensor context = at::empty({n, H * d}, queries.options());
    const DeviceRecording* const to = recorded ? recording : nullptr;
    if (type == at::kFloat)
        attend<float>(layer, queries, context, cache, to);
    else if (type == at::kBFloat16)
        attend<Bfloat16>(layer, queries, context, cache, to);
    else
        attend<Float16>(layer, queries, context, cache, to);
    if (recorded)
        recording->recorder.endLayer(layer);
    return layerWeights.output(context);
}

/// `cache` has the keys and values of these rows, but does not count them yet.
template <typename Element>
void DeviceTransformer::State::attend(int layer, const at::Tensor& queries, const at::Tensor& context,
    const DeviceCache::State& cache, const DeviceRecording* recording) const
{
    const std::int64_t d = config.headDim;
    const at::Tensor& keys = cache.keys[static_cast<std::size_t>(layer)];
    const at::Tensor& values = cache.values[static_cast<std::size_t>(layer)];
    LayerAttention<Element> job;
    job.layer = layer;
    job.heads = config.numHeads;
    job.headDim = config.headDim;
    job.context = static_cast<Element*>(context.data_ptr());
    job.contextHeadStride = d;
    job.contextRowStride = config.numHeads * d;
    job.input.queries = static_cast<const Element*>(queries.data_ptr());
    job.input.keys = static_cast<const Element*>(keys.data_ptr());
    job.input.values = static_cast<const Element*>(values.data_ptr());
    job.input.queryHeadStride = job.input.keyHeadStride = job.input.valueHeadStride = d;
    job.input.queryRowStride = config.numHeads * d;
    job.input.keyRowStride = job.input.valueRowStride = config.numKvHeads * d;
    job.input.rows = static_cast<int>(queries.size(0));
    job.input.past = static_cast<int>(cache.size);
    job.input.window = static_cast<int>(config.window(layer));
    job.input.headsPerKvHead = config.queriesPerKvHead();
    job.input.scale = static_cast<float>(config.attentionScale);
    if (recording == nullptr)
        cuda::attend(kernels, job);
    else if (cache.size == 0)
        recording->layers.prompt(job);
    else
        recording->layers.generated(job);
}

/// 1-norms of W_o,h v, float32 [heads, n] on the host.
at::Tensor DeviceTransformer::State::outputValueNorms(int layer, const at::Tensor& values) const
{
    const std::int64_t d = config.headDim;
    const at::Tensor& weight = weights.layers[static_cast<std::size_t>(layer)].output.weight; // (hidden, H d)
    std::vector<at::Tensor> norms;
    for (std::int64_t head = 0; head < config.numHeads; ++head) {
        const at::Tensor vectors = values.select(1, head / config.queriesPerKvHead()); // (n, d)
        const at::Tensor projected = at::matmul(vectors, weight.narrow(1, head * d, d).t());
        norms.push_back(projected.to(at::kFloat).abs().sum(1));
    }
    return at::stack(norms).contiguous().to(at::kCPU);
}

/// What is predicted after every row, as Transformer gives it; nll begins with that of the second row.
PrefillResult DeviceTransformer::State::predict(const at::Tensor& normed, std::span<const std::int32_t> ids) const
{
    PrefillResult result;
    const std::int64_t n = normed.size(0);
    for (std::int64_t begin = 0; begin < n; begin += logitRows) {
        const std::int64_t rows = std::min(logitRows, n - begin);
        const at::Tensor logits = weights.logits(normed.narrow(0, begin, rows)).to(at::kFloat); // (rows, V)
        if (!at::isfinite(logits).all().item<bool>())
            throw ModelError(fmt::format("model {}: the logits hold infinities or NaN", config.name));
        predictRows(logits, ids.subspan(static_cast<std::size_t>(begin + 1)), result);
        if (begin + rows == n) {
            const at::Tensor last = logits[rows - 1].contiguous().to(at::kCPU);
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
              .gather(1, onDevice({targets.begin(), targets.begin() + known}, device).unsqueeze(1))
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
        const std::vector<std::int64_t> textTokens(ids.size(), end);
        std::vector<RopeTensors> ropes;
        for (const RopeVariant& rope : config.ropes)
            ropes.emplace_back(RopeTable(rope, positions, textTokens), config.headDim / 2, state.device);

        at::Tensor hidden = state.embed(ids); // (n, hidden)
        for (int layer = 0; layer < config.numLayers; ++layer) {
            const DeviceLayerWeights& weights = state.weights.layers[static_cast<std::size_t>(layer)];
            const RopeTensors& rope
                = ropes[static_cast<std::size_t>(config.layers[static_cast<std::size_t>(layer)].rope)];
            const at::Tensor attended
                = state.attention(layer, state.normalised(hidden, weights.attentionNorm), rope, held, recording);
            hidden = state.added(hidden, attended, weights.attentionOutputNorm);
            const at::Tensor normed = state.normalised(hidden, weights.mlpNorm);
            const at::Tensor gate = weights.gate(normed);
            const at::Tensor active = config.activation == Activation::Silu ? at::silu(gate) : at::gelu(gate, "tanh");
            hidden = state.added(hidden, weights.down(active * weights.up(normed)), weights.mlpOutputNorm);
            meter.advance(1.0);
        }
        PrefillResult predicted = state.predict(state.normalised(hidden, state.weights.finalNorm), ids);
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
