// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/cuda/attention_kernels.h"
#include "capture/cuda/device_transformer.h"
#include "capture/cuda/device_weights.h"
#include "capture/model/model_error.h"
#include "capture/model/rope.h"
#include "capture/model/task_runner.h"

#include <ATen/ATen.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

/// What the parts of DeviceTransformer and DeviceLiveModel share.
namespace kvloupe::cuda {

at::Tensor indicesOn(const std::vector<std::int64_t>& values, at::Device device);
/// [tokens, heads, head_dim] to float32 [heads, tokens, head_dim] on the host.
at::Tensor byHead(const at::Tensor& vectors);
/// Of a float32 tensor on the host; none of one that is undefined.
std::span<const float> floats(const at::Tensor& tensor);

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

/// make(count), with half as many again and again while the device has too little memory; `count` becomes what it was
/// made for. DeviceMemoryError when one is too many.
template <typename Make> auto asManyAsFit(int& count, Make&& make)
{
    while (true) {
        try {
            return translated([&] { return make(count); });
        } catch (const DeviceMemoryError&) {
            if (count <= 1)
                throw;
            count /= 2;
        }
    }
}

/// Cosines and sines of the rows of a pass for one variant of RoPE, [n, 1, head_dim / 2].
struct RopeTensors {
    RopeTensors(const RopeTable& table, std::int64_t half, at::Device device);
    at::Tensor turn(const at::Tensor& vectors) const; ///< [n, heads, head_dim]
    void keepRows(const at::Tensor& rows); ///< indices

    at::Tensor cosines;
    at::Tensor sines;
};

struct LayerProjection {
    at::Tensor queries; ///< [n, heads, head_dim], after RoPE
    at::Tensor keys; ///< [n, kv_heads, head_dim], after RoPE
    at::Tensor values; ///< [n, kv_heads, head_dim]
    at::Tensor queriesBeforeRope;
};

/// A projection in host memory, by head.
class HostVectors {
public:
    HostVectors(const LayerProjection& projection, bool queriesBeforeRope);
    LayerVectors view(int layer, std::int64_t tokenBegin) const;

private:
    at::Tensor m_queries;
    at::Tensor m_keys;
    at::Tensor m_values;
    at::Tensor m_before; // may be undefined
};

struct DeviceCache::State {
    std::vector<at::Tensor> keys; // per layer: [capacity, kv_heads, head_dim], after RoPE
    std::vector<at::Tensor> values;
    std::int64_t capacity = 0;
    std::int64_t size = 0;
    std::vector<float> lastLogits; // after the newest token

    /// After what is counted; not counted yet.
    void store(int layer, const LayerProjection& projection) const;
};

struct DeviceTransformer::State {
    State(ModelConfig modelConfig, AttentionKernels& attentionKernels, const Options& options);

    /// f(Element()) with the element of `type`.
    template <typename F> auto withElement(F&& f) const
    {
        if (type == at::kFloat)
            return f(float());
        if (type == at::kBFloat16)
            return f(Bfloat16());
        return f(Float16());
    }

    std::vector<RopeTensors> ropes(
        std::span<const std::int64_t> positions, std::span<const std::int64_t> textTokens) const;
    const RopeTensors& ropeOf(int layer, const std::vector<RopeTensors>& ropes) const;

    // A forward pass, hidden states being [n, hidden]: embed(), of every layer project() and afterAttention() with the
    // attention between them, logits().
    at::Tensor embed(std::span<const std::int32_t> ids) const;
    LayerProjection project(int layer, const at::Tensor& hidden, const RopeTensors& rope) const;
    at::Tensor afterAttention(int layer, const at::Tensor& hidden, const at::Tensor& context) const;
    at::Tensor logits(const at::Tensor& hidden) const; ///< float32 [n, vocab]; ModelError if not finite

    /// Attention of `queries` (contiguous) at the end of `keys` and `values` [past + n, kv_heads, head_dim].
    template <typename Element>
    LayerAttention<Element> attentionOf(int layer, const at::Tensor& queries, const at::Tensor& keys,
        const at::Tensor& values, std::int64_t past, const at::Tensor& context) const;
    /// 1-norms of W_o,h v of values [n, kv_heads, head_dim]: float32 [heads, n] on the host.
    at::Tensor outputValueNorms(int layer, const at::Tensor& values) const;
    /// What is predicted after every row, as Transformer gives it; nll begins with that of the second row.
    PrefillResult predict(const at::Tensor& hidden, std::span<const std::int32_t> ids) const;

    ModelConfig config;
    AttentionKernels& kernels;
    at::Device device;
    at::ScalarType type;
    mutable TaskRunner runner;
    DeviceWeights weights;

private:
    void predictRows(const at::Tensor& logits, std::span<const std::int32_t> targets, PrefillResult& result) const;
    at::Tensor normalised(const at::Tensor& x, const at::Tensor& gain) const;
    at::Tensor added(const at::Tensor& hidden, const at::Tensor& given, const at::Tensor& outputNorm) const;
};

} // namespace kvloupe::cuda
