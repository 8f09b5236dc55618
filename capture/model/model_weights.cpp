// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/model/model_weights.h"

#include "capture/adapter/adapter.h"
#include "capture/checkpoint/checkpoint.h"
#include "capture/model/task_runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

namespace kvloupe {

namespace {

/// Rows of a tensor and where they go.
struct Piece {
    std::string tensor;
    std::int64_t rowBegin = 0;
    std::int64_t rowEnd = 0;
    std::span<float> destination;
};

/// Collects where every tensor goes, in pieces small enough to share out.
class Layout {
public:
    void vector(const std::string& tensor, std::span<float> destination)
    {
        m_pieces.push_back({tensor, 0, 1, destination});
    }

    /// NAME.weight and NAME.bias into outputs [firstOutput, firstOutput + outputs) of `target`.
    void projection(const std::string& name, Linear& target, std::int64_t firstOutput, std::int64_t outputs)
    {
        const std::int64_t inputs = target.inputs();
        const std::int64_t rowsPerPiece = std::max<std::int64_t>(1, pieceFloats / inputs);
        for (std::int64_t row = 0; row < outputs; row += rowsPerPiece) {
            const std::int64_t end = std::min(outputs, row + rowsPerPiece);
            m_pieces.push_back({name + ".weight", row, end,
                target.weight().subspan(static_cast<std::size_t>((firstOutput + row) * inputs),
                    static_cast<std::size_t>((end - row) * inputs))});
        }
        if (!target.bias().empty())
            vector(name + ".bias",
                target.bias().subspan(static_cast<std::size_t>(firstOutput), static_cast<std::size_t>(outputs)));
    }

    void projection(const std::string& name, Linear& target) { projection(name, target, 0, target.outputs()); }

    const std::vector<Piece>& pieces() const { return m_pieces; }

private:
    static constexpr std::int64_t pieceFloats = 1 << 18;

    std::vector<Piece> m_pieces;
};

LayerWeights makeLayer(const ModelConfig& config)
{
    const std::int64_t hidden = config.hiddenSize;
    const std::int64_t headDim = config.headDim;
    const std::int64_t intermediate = config.intermediateSize;
    LayerWeights layer;
    layer.attentionNorm.resize(static_cast<std::size_t>(hidden));
    layer.qkv = Linear((config.numHeads + 2 * config.numKvHeads) * headDim, hidden, config.attentionBias);
    layer.output = Linear(hidden, config.numHeads * headDim, config.attentionBias);
    layer.mlpNorm.resize(static_cast<std::size_t>(hidden));
    layer.gate = Linear(intermediate, hidden, config.mlpBias);
    layer.up = Linear(intermediate, hidden, config.mlpBias);
    layer.down = Linear(hidden, intermediate, config.mlpBias);
    return layer;
}

void layOutLayer(Layout& layout, const ModelConfig& config, const std::string& prefix, LayerWeights& layer)
{
    const std::int64_t queryRows = std::int64_t{config.numHeads} * config.headDim;
    const std::int64_t keyRows = std::int64_t{config.numKvHeads} * config.headDim;
    layout.vector(prefix + "input_layernorm.weight", layer.attentionNorm);
    layout.projection(prefix + "self_attn.q_proj", layer.qkv, 0, queryRows);
    layout.projection(prefix + "self_attn.k_proj", layer.qkv, queryRows, keyRows);
    layout.projection(prefix + "self_attn.v_proj", layer.qkv, queryRows + keyRows, keyRows);
    layout.projection(prefix + "self_attn.o_proj", layer.output);
    layout.vector(prefix + "post_attention_layernorm.weight", layer.mlpNorm);
    layout.projection(prefix + "mlp.gate_proj", layer.gate);
    layout.projection(prefix + "mlp.up_proj", layer.up);
    layout.projection(prefix + "mlp.down_proj", layer.down);
}

} // namespace

ModelWeights loadWeights(const Checkpoint& checkpoint, const Adapter* adapter, TaskRunner& runner,
    const std::function<bool(double)>& progress)
{
    const ModelConfig& config = checkpoint.config();
    ModelWeights weights;
    Layout layout;
    weights.embedding = Linear(config.vocabSize, config.hiddenSize, false);
    layout.projection("model.embed_tokens", weights.embedding);
    weights.layers.reserve(static_cast<std::size_t>(config.numLayers));
    for (int i = 0; i < config.numLayers; ++i) {
        weights.layers.push_back(makeLayer(config));
        layOutLayer(layout, config, fmt::format("model.layers.{}.", i), weights.layers.back());
    }
    weights.finalNorm.resize(static_cast<std::size_t>(config.hiddenSize));
    layout.vector("model.norm.weight", weights.finalNorm);
    if (!config.tiedEmbeddings) {
        weights.head = Linear(config.vocabSize, config.hiddenSize, false);
        layout.projection("lm_head", weights.head);
    }

    const std::vector<Piece>& pieces = layout.pieces();
    double total = 0;
    for (const Piece& piece : pieces)
        total += static_cast<double>(piece.destination.size());
    WorkMeter meter(progress, total);
    runner.run(std::ssize(pieces), [&](std::int64_t task, int) {
        const Piece& piece = pieces[static_cast<std::size_t>(task)];
        checkpoint.readFloat32(piece.tensor, piece.rowBegin, piece.rowEnd, piece.destination);
        if (adapter != nullptr)
            adapter->addTo(piece.tensor, piece.rowBegin, piece.rowEnd, piece.destination);
        meter.advance(static_cast<double>(piece.destination.size()));
    });
    meter.finish();
    return weights;
}

} // namespace kvloupe
