// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/cuda/device_transformer_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace kvloupe::cuda {

namespace {

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

} // namespace

at::Tensor indicesOn(const std::vector<std::int64_t>& values, at::Device device)
{
    at::Tensor host = at::empty({std::ssize(values)}, at::kLong);
    std::ranges::copy(values, host.data_ptr<std::int64_t>());
    return host.to(device);
}

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

RopeTensors::RopeTensors(const RopeTable& table, std::int64_t half, at::Device device)
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

at::Tensor RopeTensors::turn(const at::Tensor& vectors) const
{
    const std::int64_t half = vectors.size(2) / 2;
    const at::Tensor x = vectors.to(at::kFloat);
    const at::Tensor a = x.narrow(2, 0, half);
    const at::Tensor b = x.narrow(2, half, half);
    return at::cat({a * cosines - b * sines, b * cosines + a * sines}, 2).to(vectors.scalar_type());
}

void RopeTensors::keepRows(const at::Tensor& rows)
{
    cosines = cosines.index_select(0, rows);
    sines = sines.index_select(0, rows);
}

HostVectors::HostVectors(const LayerProjection& projection, bool queriesBeforeRope)
    : m_queries(byHead(projection.queries))
    , m_keys(byHead(projection.keys))
    , m_values(byHead(projection.values))
{
    if (queriesBeforeRope)
        m_before = byHead(projection.queriesBeforeRope);
}

LayerVectors HostVectors::view(int layer, std::int64_t tokenBegin) const
{
    return {
        layer, tokenBegin, m_queries.size(1), floats(m_queries), floats(m_keys), floats(m_values), floats(m_before)};
}

void DeviceCache::State::store(int layer, const LayerProjection& projection) const
{
    const std::int64_t n = projection.keys.size(0);
    keys[static_cast<std::size_t>(layer)].narrow(0, size, n).copy_(projection.keys);
    values[static_cast<std::size_t>(layer)].narrow(0, size, n).copy_(projection.values);
}

DeviceTransformer::State::State(ModelConfig modelConfig, AttentionKernels& attentionKernels, const Options& options)
    : config(std::move(modelConfig))
    , kernels(attentionKernels)
    , device(options.onCpu ? at::kCPU : at::kCUDA)
    , type(scalarType(options.type))
    , runner(options.threads)
{
}

std::vector<RopeTensors> DeviceTransformer::State::ropes(
    std::span<const std::int64_t> positions, std::span<const std::int64_t> textTokens) const
{
    std::vector<RopeTensors> result;
    for (const RopeVariant& rope : config.ropes)
        result.emplace_back(RopeTable(rope, positions, textTokens), config.headDim / 2, device);
    return result;
}

const RopeTensors& DeviceTransformer::State::ropeOf(int layer, const std::vector<RopeTensors>& ropes) const
{
    return ropes[static_cast<std::size_t>(config.layers[static_cast<std::size_t>(layer)].rope)];
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
    const at::Tensor rows = weights.embedding.index_select(0, indicesOn({ids.begin(), ids.end()}, device));
    return config.embeddingScale == 1.0 ? rows : rows * config.embeddingScale;
}

LayerProjection DeviceTransformer::State::project(int layer, const at::Tensor& hidden, const RopeTensors& rope) const
{
    const DeviceLayerWeights& layerWeights = weights.layers[static_cast<std::size_t>(layer)];
    const std::int64_t n = hidden.size(0);
    const std::int64_t d = config.headDim;
    const std::int64_t H = config.numHeads;
    const std::int64_t K = config.numKvHeads;
    const at::Tensor projected = layerWeights.qkv(normalised(hidden, layerWeights.attentionNorm)); // (n, (H + 2 K) d)
    const auto part = [&](std::int64_t firstHead, std::int64_t heads) {
        return projected.narrow(1, firstHead * d, heads * d).reshape({n, heads, d});
    };
    LayerProjection result;
    result.queriesBeforeRope = part(0, H);
    result.keys = part(H, K);
    result.values = part(H + K, K);
    if (layerWeights.queryNorm.defined()) {
        result.queriesBeforeRope = normalised(result.queriesBeforeRope, layerWeights.queryNorm);
        result.keys = normalised(result.keys, layerWeights.keyNorm);
    }
    result.queries = rope.turn(result.queriesBeforeRope).contiguous();
    result.keys = rope.turn(result.keys);
    return result;
}

at::Tensor DeviceTransformer::State::afterAttention(
    int layer, const at::Tensor& hidden, const at::Tensor& context) const
{
    const DeviceLayerWeights& layerWeights = weights.layers[static_cast<std::size_t>(layer)];
    const at::Tensor attended = added(hidden, layerWeights.output(context), layerWeights.attentionOutputNorm);
    const at::Tensor normed = normalised(attended, layerWeights.mlpNorm);
    const at::Tensor gate = layerWeights.gate(normed);
    const at::Tensor active = config.activation == Activation::Silu ? at::silu(gate) : at::gelu(gate, "tanh");
    return added(attended, layerWeights.down(active * layerWeights.up(normed)), layerWeights.mlpOutputNorm);
}

at::Tensor DeviceTransformer::State::logits(const at::Tensor& hidden) const
{
    const at::Tensor result = weights.logits(normalised(hidden, weights.finalNorm)).to(at::kFloat);
    if (!at::isfinite(result).all().item<bool>())
        throw ModelError(fmt::format("model {}: the logits hold infinities or NaN", config.name));
    return result;
}

template <typename Element>
LayerAttention<Element> DeviceTransformer::State::attentionOf(int layer, const at::Tensor& queries,
    const at::Tensor& keys, const at::Tensor& values, std::int64_t past, const at::Tensor& context) const
{
    const std::int64_t d = config.headDim;
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
    job.input.past = static_cast<int>(past);
    job.input.window = static_cast<int>(config.window(layer));
    job.input.headsPerKvHead = config.queriesPerKvHead();
    job.input.scale = static_cast<float>(config.attentionScale);
    return job;
}

template LayerAttention<float> DeviceTransformer::State::attentionOf(
    int, const at::Tensor&, const at::Tensor&, const at::Tensor&, std::int64_t, const at::Tensor&) const;
template LayerAttention<Bfloat16> DeviceTransformer::State::attentionOf(
    int, const at::Tensor&, const at::Tensor&, const at::Tensor&, std::int64_t, const at::Tensor&) const;
template LayerAttention<Float16> DeviceTransformer::State::attentionOf(
    int, const at::Tensor&, const at::Tensor&, const at::Tensor&, std::int64_t, const at::Tensor&) const;

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

} // namespace kvloupe::cuda
