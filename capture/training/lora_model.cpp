// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/training/lora_model.h"

#include "capture/model/model_error.h"
#include "capture/model/model_weights.h"
#include "capture/model/rope.h"
#include "capture/model/transformer.h"
#include "capture/tasks/item_draws.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>

namespace kvloupe {

namespace {

enum Projection { Query, Key, Value, Output, Gate, Up, Down, projections };

std::size_t count(std::int64_t value)
{
    return static_cast<std::size_t>(value);
}

/// Memory of ours as a tensor that is not written to.
at::Tensor viewOf(std::span<const float> values, at::IntArrayRef sizes)
{
    return at::from_blob(const_cast<float*>(values.data()), sizes, at::kFloat);
}

at::Tensor biasOf(const Linear& linear)
{
    const std::span<const float> bias = linear.bias();
    return bias.empty() ? at::Tensor() : viewOf(bias, {linear.outputs()});
}

} // namespace

/// One pass over some texts; builds the graph as it goes.
class LoraModel::Pass {
public:
    Pass(const LoraModel& lora, std::span<const TrainingSequence> sequences, bool trains)
        : m_lora(lora)
        , m_config(lora.m_model.config())
        , m_weights(lora.m_model.weights())
        , m_scale(lora.m_alpha / static_cast<double>(lora.m_rank))
    {
        std::vector<std::int64_t> positions;
        for (const TrainingSequence& sequence : sequences) {
            m_lengths.push_back(std::ssize(sequence.ids));
            m_ids.insert(m_ids.end(), sequence.ids.begin(), sequence.ids.end());
            positions.resize(m_ids.size());
            std::iota(positions.end() - m_lengths.back(), positions.end(), 0);
        }
        const std::int64_t longest = *std::ranges::max_element(m_lengths);
        m_future = at::full({longest, longest}, -std::numeric_limits<float>::infinity()).triu(1);

        const RopeTable rope(lora.m_model.inverseFrequencies(), positions);
        const std::int64_t half = m_config.headDim / 2;
        m_cosines = at::empty({rope.rows(), 1, half});
        m_sines = at::empty({rope.rows(), 1, half});
        for (std::int64_t row = 0; row < rope.rows(); ++row) {
            std::ranges::copy(rope.cosines(row), m_cosines.data_ptr<float>() + row * half);
            std::ranges::copy(rope.sines(row), m_sines.data_ptr<float>() + row * half);
        }

        std::size_t begin = 0;
        const auto take = [&](std::int64_t rows, std::int64_t columns) {
            const at::Tensor leaf
                = viewOf(std::span(lora.m_parameters).subspan(begin, count(rows * columns)), {rows, columns});
            begin += count(rows * columns);
            m_leaves.push_back(leaf.requires_grad_(trains));
        };
        for (int layer = 0; layer < m_config.numLayers; ++layer) {
            for (const Pair& pair : lora.m_pairs) {
                take(lora.m_rank, pair.inputs);
                take(pair.outputs, lora.m_rank);
            }
        }
    }

    /// Residual stream after the last layer: [n, hidden].
    at::Tensor run()
    {
        at::Tensor hidden = embed();
        for (int layer = 0; layer < m_config.numLayers; ++layer) {
            const LayerWeights& weights = m_weights.layers[count(layer)];
            hidden = hidden + attention(layer, weights, norm(hidden, weights.attentionNorm));
            hidden = hidden + mlp(layer, weights, norm(hidden, weights.mlpNorm));
        }
        return hidden;
    }

    /// Logits [rows, vocab] of rows of the residual stream.
    at::Tensor logits(const at::Tensor& hidden) const
    {
        const Linear& head = m_weights.logits();
        return at::mm(norm(hidden, m_weights.finalNorm), viewOf(head.weight(), {head.outputs(), head.inputs()}).t());
    }

    const std::vector<at::Tensor>& leaves() const { return m_leaves; }

private:
    at::Tensor embed() const
    {
        at::Tensor hidden = at::empty({std::ssize(m_ids), m_config.hiddenSize});
        float* row = hidden.data_ptr<float>();
        for (const std::int32_t id : m_ids)
            row = std::ranges::copy(m_weights.embedding.weightRow(id), row).out;
        return hidden;
    }

    at::Tensor norm(const at::Tensor& x, const std::vector<float>& gain) const
    {
        const at::Tensor inverse = (x.square().mean(-1, true) + m_config.rmsNormEps).rsqrt();
        return x * inverse * viewOf(gain, {m_config.hiddenSize});
    }

    /// y = x W^T + b, without any LoRA.
    static at::Tensor frozen(const at::Tensor& x, const Linear& linear)
    {
        const at::Tensor product = at::mm(x, viewOf(linear.weight(), {linear.outputs(), linear.inputs()}).t());
        const at::Tensor bias = biasOf(linear);
        return bias.defined() ? product + bias : product;
    }

    /// `base` + scale x A^T B^T.
    at::Tensor adapted(int layer, Projection which, const at::Tensor& x, const at::Tensor& base) const
    {
        const std::size_t at = 2 * (count(layer) * projections + which);
        return at::addmm(base, at::mm(x, m_leaves[at].t()), m_leaves[at + 1].t(), 1.0, m_scale);
    }

    /// x [n, heads * d] to [n, heads, d], turned by the positions of the rows.
    at::Tensor turned(const at::Tensor& x, std::int64_t heads) const
    {
        const std::int64_t half = m_config.headDim / 2;
        const at::Tensor all = x.view({x.size(0), heads, 2 * half});
        const at::Tensor first = all.narrow(2, 0, half);
        const at::Tensor second = all.narrow(2, half, half);
        return at::cat({first * m_cosines - second * m_sines, second * m_cosines + first * m_sines}, 2);
    }

    at::Tensor attention(int layer, const LayerWeights& weights, const at::Tensor& x) const
    {
        const std::int64_t H = m_config.numHeads;
        const std::int64_t K = m_config.numKvHeads;
        const std::int64_t d = m_config.headDim;
        const auto parts = at::split_with_sizes(frozen(x, weights.qkv), {H * d, K * d, K * d}, 1);
        const at::Tensor queries = turned(adapted(layer, Query, x, parts[0]), H); // [n, H, d]
        const at::Tensor keys = turned(adapted(layer, Key, x, parts[1]), K); // [n, K, d]
        const at::Tensor values = adapted(layer, Value, x, parts[2]).view({x.size(0), K, d});
        const auto queriesOf = at::split_with_sizes(queries, m_lengths, 0);
        const auto keysOf = at::split_with_sizes(keys, m_lengths, 0);
        const auto valuesOf = at::split_with_sizes(values, m_lengths, 0);
        std::vector<at::Tensor> contexts;
        for (std::size_t i = 0; i < m_lengths.size(); ++i)
            contexts.push_back(attend(queriesOf[i], keysOf[i], valuesOf[i]));
        const at::Tensor context = at::cat(contexts, 0); // [n, H * d]
        return adapted(layer, Output, context, frozen(context, weights.output));
    }

    /// Causal attention of one text: queries [n, H, d], keys and values [n, K, d] to [n, H * d]. The H / K query heads
    /// of a KV head are rows of one product.
    at::Tensor attend(const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& values) const
    {
        const std::int64_t n = queries.size(0);
        const std::int64_t H = m_config.numHeads;
        const std::int64_t K = m_config.numKvHeads;
        const std::int64_t d = m_config.headDim;
        const double scale = 1.0 / std::sqrt(static_cast<double>(d));
        const at::Tensor rows = (queries.transpose(0, 1) * scale).reshape({K, H / K * n, d});
        const at::Tensor scores = at::bmm(rows, keys.permute({1, 2, 0})).view({H, n, n});
        const at::Tensor map = at::softmax(scores + m_future.narrow(0, 0, n).narrow(1, 0, n), -1);
        const at::Tensor context = at::bmm(map.view({K, H / K * n, n}), values.transpose(0, 1)); // [K, H / K * n, d]
        return context.view({H, n, d}).transpose(0, 1).reshape({n, H * d});
    }

    at::Tensor mlp(int layer, const LayerWeights& weights, const at::Tensor& x) const
    {
        const at::Tensor gate = adapted(layer, Gate, x, frozen(x, weights.gate));
        const at::Tensor up = adapted(layer, Up, x, frozen(x, weights.up));
        const at::Tensor activated = at::silu(gate) * up;
        return adapted(layer, Down, activated, frozen(activated, weights.down));
    }

    const LoraModel& m_lora;
    const ModelConfig& m_config;
    const ModelWeights& m_weights;
    double m_scale;
    std::vector<std::int64_t> m_lengths; // of the texts
    std::vector<std::int32_t> m_ids; // [n]
    at::Tensor m_future; // [longest, longest]: -infinity above the diagonal
    at::Tensor m_cosines; // [n, 1, d / 2]
    at::Tensor m_sines; // [n, 1, d / 2]
    std::vector<at::Tensor> m_leaves; // A and B of every pair
};

LoraModel::LoraModel(const Transformer& model, std::int64_t rank, double alpha, std::uint64_t seed)
    : m_model(model)
    , m_rank(rank)
    , m_alpha(alpha)
{
    const ModelConfig& config = model.config();
    const std::int64_t hidden = config.hiddenSize;
    const std::int64_t queries = std::int64_t{config.numHeads} * config.headDim;
    const std::int64_t keys = std::int64_t{config.numKvHeads} * config.headDim;
    const std::int64_t intermediate = config.intermediateSize;
    m_pairs = {{"self_attn.q_proj", queries, hidden}, {"self_attn.k_proj", keys, hidden},
        {"self_attn.v_proj", keys, hidden}, {"self_attn.o_proj", hidden, queries},
        {"mlp.gate_proj", intermediate, hidden}, {"mlp.up_proj", intermediate, hidden},
        {"mlp.down_proj", hidden, intermediate}};
    for (int layer = 0; layer < config.numLayers; ++layer) {
        for (std::size_t which = 0; which < m_pairs.size(); ++which) {
            const Pair& pair = m_pairs[which];
            ItemDraws draws(seed, "lora A", count(layer) * m_pairs.size() + which);
            const double bound = 1.0 / std::sqrt(static_cast<double>(pair.inputs));
            for (std::int64_t i = 0; i < rank * pair.inputs; ++i) {
                const double unit = static_cast<double>(draws.bits() >> 11) * 0x1p-53; // in [0, 1)
                m_parameters.push_back(static_cast<float>((2.0 * unit - 1.0) * bound));
            }
            m_parameters.resize(m_parameters.size() + count(rank * pair.outputs), 0.0F);
        }
    }
}

LoraModel::Gradient LoraModel::gradient(std::span<const TrainingSequence> sequences) const
{
    std::vector<std::int64_t> rows; // whose next token is one of an answer
    std::vector<std::int64_t> targets;
    std::vector<float> weights;
    std::int64_t begin = 0;
    for (const TrainingSequence& sequence : sequences) {
        for (std::int64_t token = sequence.answerBegin; token < std::ssize(sequence.ids); ++token) {
            rows.push_back(begin + token - 1);
            targets.push_back(sequence.ids[count(token)]);
            weights.push_back(static_cast<float>(sequence.weight));
        }
        begin += std::ssize(sequence.ids);
    }
    const auto indices = [](std::vector<std::int64_t>& values) {
        return at::from_blob(values.data(), {std::ssize(values)}, at::kLong);
    };

    Pass pass(*this, sequences, true);
    const at::Tensor logits = pass.logits(pass.run().index_select(0, indices(rows)));
    const at::Tensor nll = at::cross_entropy_loss(logits, indices(targets), {}, at::Reduction::None);
    const at::Tensor loss = (nll * viewOf(weights, {std::ssize(weights)})).sum();
    const auto gradients = torch::autograd::grad({loss}, pass.leaves());

    Gradient result;
    result.loss = loss.item<double>();
    result.nll = nll.sum().item<double>();
    result.values.reserve(m_parameters.size());
    for (const at::Tensor& gradient : gradients) {
        const at::Tensor whole = gradient.contiguous();
        result.values.insert(result.values.end(), whole.data_ptr<float>(), whole.data_ptr<float>() + whole.numel());
    }
    if (!std::isfinite(result.loss))
        throw ModelError(
            fmt::format("training: found a loss of {}, expected a number; lower the learning rate", result.loss));
    return result;
}

std::vector<float> LoraModel::logits(std::span<const std::int32_t> ids) const
{
    const TrainingSequence whole{ids, 1, 1.0};
    Pass pass(*this, std::span(&whole, 1), false);
    const at::Tensor logits = pass.logits(pass.run());
    return {logits.data_ptr<float>(), logits.data_ptr<float>() + logits.numel()};
}

AdapterWeights LoraModel::weights() const
{
    AdapterWeights result{m_rank, m_alpha, false, "", {}};
    auto at = m_parameters.begin();
    const auto take = [&](std::int64_t size) {
        const auto begin = at;
        at += size;
        return std::vector<float>(begin, at);
    };
    for (int layer = 0; layer < m_model.config().numLayers; ++layer) {
        for (const Pair& pair : m_pairs) {
            AdapterModule module{
                fmt::format("model.layers.{}.{}", layer, pair.module), pair.outputs, pair.inputs, {}, {}};
            module.down = take(m_rank * pair.inputs);
            module.up = take(pair.outputs * m_rank);
            result.modules.push_back(std::move(module));
        }
    }
    std::ranges::sort(result.modules, {}, &AdapterModule::name);
    return result;
}

} // namespace kvloupe
