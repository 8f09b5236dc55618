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
#include <map>
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
        std::vector<std::int64_t> textTokens;
        for (const TrainingSequence& sequence : sequences) {
            m_lengths.push_back(std::ssize(sequence.ids));
            m_ids.insert(m_ids.end(), sequence.ids.begin(), sequence.ids.end());
            textTokens.resize(m_ids.size(), m_lengths.back());
            positions.resize(m_ids.size());
            std::iota(positions.end() - m_lengths.back(), positions.end(), 0);
        }
        const std::int64_t longest = *std::ranges::max_element(m_lengths);
        for (const LayerOptions& layer : m_config.layers)
            m_unseen.try_emplace(layer.window, unseenCells(longest, layer.window));
        for (const RopeVariant& rope : m_config.ropes)
            m_turns.push_back(turnsOf(RopeTable(rope, positions, textTokens)));

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
            const at::Tensor attended = attention(layer, weights, norm(hidden, weights.attentionNorm));
            hidden = hidden + (m_config.outputNorms ? norm(attended, weights.attentionOutputNorm) : attended);
            const at::Tensor activated = mlp(layer, weights, norm(hidden, weights.mlpNorm));
            hidden = hidden + (m_config.outputNorms ? norm(activated, weights.mlpOutputNorm) : activated);
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
    /// Cosines and sines of every row: [n, 1, d / 2].
    struct Turns {
        at::Tensor cosines;
        at::Tensor sines;
    };

    Turns turnsOf(const RopeTable& rope) const
    {
        const std::int64_t half = m_config.headDim / 2;
        const Turns turns{at::empty({rope.rows(), 1, half}), at::empty({rope.rows(), 1, half})};
        for (std::int64_t row = 0; row < rope.rows(); ++row) {
            std::ranges::copy(rope.cosines(row), turns.cosines.data_ptr<float>() + row * half);
            std::ranges::copy(rope.sines(row), turns.sines.data_ptr<float>() + row * half);
        }
        return turns;
    }

    /// -infinity where a query sees no key: after itself, and before its window.
    static at::Tensor unseenCells(std::int64_t size, std::int64_t window)
    {
        const at::Tensor nothing = at::full({size, size}, -std::numeric_limits<float>::infinity());
        const at::Tensor future = nothing.triu(1);
        return window == 0 ? future : future + nothing.tril(-window);
    }

    at::Tensor embed() const
    {
        const std::int64_t width = m_config.hiddenSize;
        at::Tensor hidden = at::empty({std::ssize(m_ids), width});
        for (std::size_t row = 0; row < m_ids.size(); ++row)
            m_weights.embedding.readRow(
                m_ids[row], {hidden.data_ptr<float>() + static_cast<std::int64_t>(row) * width, count(width)});
        return hidden * m_config.embeddingScale;
    }

    at::Tensor norm(const at::Tensor& x, const std::vector<float>& gain) const
    {
        const at::Tensor inverse = (x.square().mean(-1, true) + m_config.rmsNormEps).rsqrt();
        return x * inverse * viewOf(gain, {std::ssize(gain)});
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

    /// x [n, heads * d] to [n, heads, d], normalised where there is a gain, turned by the positions of the rows.
    at::Tensor turned(int layer, const at::Tensor& x, std::int64_t heads, const std::vector<float>& gain) const
    {
        const std::int64_t half = m_config.headDim / 2;
        const auto& [cosines, sines] = m_turns[count(m_config.layers[count(layer)].rope)];
        const at::Tensor raw = x.view({x.size(0), heads, 2 * half});
        const at::Tensor all = gain.empty() ? raw : norm(raw, gain);
        const at::Tensor first = all.narrow(2, 0, half);
        const at::Tensor second = all.narrow(2, half, half);
        return at::cat({first * cosines - second * sines, second * cosines + first * sines}, 2);
    }

    at::Tensor attention(int layer, const LayerWeights& weights, const at::Tensor& x) const
    {
        const std::int64_t H = m_config.numHeads;
        const std::int64_t K = m_config.numKvHeads;
        const std::int64_t d = m_config.headDim;
        const auto parts = at::split_with_sizes(frozen(x, weights.qkv), {H * d, K * d, K * d}, 1);
        const at::Tensor queries = turned(layer, adapted(layer, Query, x, parts[0]), H, weights.queryNorm); // [n, H, d]
        const at::Tensor keys = turned(layer, adapted(layer, Key, x, parts[1]), K, weights.keyNorm); // [n, K, d]
        const at::Tensor values = adapted(layer, Value, x, parts[2]).view({x.size(0), K, d});
        const auto queriesOf = at::split_with_sizes(queries, m_lengths, 0);
        const auto keysOf = at::split_with_sizes(keys, m_lengths, 0);
        const auto valuesOf = at::split_with_sizes(values, m_lengths, 0);
        std::vector<at::Tensor> contexts;
        for (std::size_t i = 0; i < m_lengths.size(); ++i)
            contexts.push_back(attend(queriesOf[i], keysOf[i], valuesOf[i], m_unseen.at(m_config.window(layer))));
        const at::Tensor context = at::cat(contexts, 0); // [n, H * d]
        return adapted(layer, Output, context, frozen(context, weights.output));
    }

    /// Causal attention of one text: queries [n, H, d], keys and values [n, K, d] to [n, H * d]. The H / K query heads
    /// of a KV head are rows of one product.
    at::Tensor attend(
        const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& values, const at::Tensor& unseen) const
    {
        const std::int64_t n = queries.size(0);
        const std::int64_t H = m_config.numHeads;
        const std::int64_t K = m_config.numKvHeads;
        const std::int64_t d = m_config.headDim;
        const double scale = m_config.attentionScale;
        const at::Tensor rows = (queries.transpose(0, 1) * scale).reshape({K, H / K * n, d});
        const at::Tensor scores = at::bmm(rows, keys.permute({1, 2, 0})).view({H, n, n});
        const at::Tensor map = at::softmax(scores + unseen.narrow(0, 0, n).narrow(1, 0, n), -1);
        const at::Tensor context = at::bmm(map.view({K, H / K * n, n}), values.transpose(0, 1)); // [K, H / K * n, d]
        return context.view({H, n, d}).transpose(0, 1).reshape({n, H * d});
    }

    at::Tensor mlp(int layer, const LayerWeights& weights, const at::Tensor& x) const
    {
        const at::Tensor gate = adapted(layer, Gate, x, frozen(x, weights.gate));
        const at::Tensor up = adapted(layer, Up, x, frozen(x, weights.up));
        const at::Tensor activated
            = (m_config.activation == Activation::Silu ? at::silu(gate) : at::gelu(gate, "tanh")) * up;
        return adapted(layer, Down, activated, frozen(activated, weights.down));
    }

    const LoraModel& m_lora;
    const ModelConfig& m_config;
    const ModelWeights& m_weights;
    double m_scale;
    std::vector<std::int64_t> m_lengths; // of the texts
    std::vector<std::int32_t> m_ids; // [n]
    std::map<std::int64_t, at::Tensor> m_unseen; // by window: [longest, longest]
    std::vector<Turns> m_turns; // of every variant of RoPE
    std::vector<at::Tensor> m_leaves; // A and B of every pair
};

LoraModel::LoraModel(const Transformer& model, std::int64_t rank, double alpha, std::uint64_t seed)
    : m_model(model)
    , m_rank(rank)
    , m_alpha(alpha)
{
    const ModelConfig& config = model.config();
    if (config.fusedProjections)
        throw ModelError(fmt::format(
            "model {}: its projections are stored fused (qkv_proj, gate_up_proj), adapters can be trained for q, k, "
            "v, gate and up projections of their own alone",
            config.name));
    if (model.weights().logits().isStreamed())
        throw ModelError(fmt::format(
            "model {}: its weights are streamed from their file, training needs them in memory", config.name));
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
