// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/model/model_weights.h"

#include "capture/adapter/adapter.h"
#include "capture/checkpoint/checkpoint.h"
#include "capture/model/task_runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

namespace kvloupe {

namespace {

/// Rows of a stored projection that are outputs of a Linear.
struct StoredRows {
    std::string name; ///< of the projection: NAME.weight, NAME.bias
    std::int64_t begin = 0;
    std::int64_t count = 0;
};

/// Rows of a tensor and where they go.
struct Piece {
    std::string tensor;
    std::int64_t rowBegin = 0;
    std::int64_t rowEnd = 0;
    std::span<float> destination;
};

void readPiece(const Checkpoint& checkpoint, const Adapter* adapter, const Piece& piece)
{
    checkpoint.readFloat32(piece.tensor, piece.rowBegin, piece.rowEnd, piece.destination);
    if (adapter != nullptr)
        adapter->addTo(piece.tensor, piece.rowBegin, piece.rowEnd, piece.destination);
}

/// The rows of some tensors of a checkpoint, one after the other.
class CheckpointRows final : public StoredMatrix {
public:
    CheckpointRows(const Checkpoint& checkpoint, std::shared_ptr<const Adapter> adapter, std::vector<StoredRows> parts,
        std::int64_t inputs)
        : m_checkpoint(checkpoint)
        , m_adapter(std::move(adapter))
        , m_parts(std::move(parts))
        , m_inputs(inputs)
    {
    }

    void read(std::int64_t begin, std::int64_t end, std::span<float> out) const override
    {
        std::int64_t first = 0; // output that is the first row of a part
        for (const StoredRows& part : m_parts) {
            const std::int64_t from = std::max(begin, first);
            const std::int64_t to = std::min(end, first + part.count);
            if (from < to)
                readPiece(m_checkpoint, m_adapter.get(),
                    {part.name + ".weight", part.begin + from - first, part.begin + to - first,
                        out.subspan(static_cast<std::size_t>((from - begin) * m_inputs),
                            static_cast<std::size_t>((to - from) * m_inputs))});
            first += part.count;
        }
    }

    StoredRun run(std::int64_t begin) const override
    {
        std::int64_t first = 0;
        for (const StoredRows& part : m_parts) {
            first += part.count;
            if (begin < first)
                return {first, storedType(part)};
        }
        return {begin, std::nullopt};
    }

    void readStored(std::int64_t begin, std::int64_t end, std::span<std::byte> out) const override
    {
        std::int64_t first = 0;
        for (const StoredRows& part : m_parts) {
            if (begin < first + part.count)
                return m_checkpoint.readStored(
                    part.name + ".weight", part.begin + begin - first, part.begin + end - first, out);
            first += part.count;
        }
    }

    void prefetch() const override
    {
        for (const StoredRows& part : m_parts)
            m_checkpoint.prefetch(part.name + ".weight", part.begin, part.begin + part.count);
    }

    void release() const override
    {
        for (const StoredRows& part : m_parts)
            m_checkpoint.release(part.name + ".weight");
    }

private:
    std::optional<DataType> storedType(const StoredRows& part) const
    {
        const TensorInfo& tensor = *m_checkpoint.find(part.name + ".weight");
        const bool isAdapted = m_adapter
            && std::ranges::binary_search(m_adapter->weights().modules, part.name, {}, &AdapterModule::name);
        return isAdapted || tensor.rowLength() % blockLength(tensor.type) != 0 ? std::nullopt
                                                                               : std::optional(tensor.type);
    }

    const Checkpoint& m_checkpoint;
    std::shared_ptr<const Adapter> m_adapter;
    std::vector<StoredRows> m_parts;
    std::int64_t m_inputs;
};

/// Makes the parts of a model and collects what is to be read into them, in pieces small enough to share out.
class Layout {
public:
    Layout(const Checkpoint& checkpoint, std::shared_ptr<const Adapter> adapter, WeightPlacement placement)
        : m_checkpoint(checkpoint)
        , m_adapter(std::move(adapter))
        , m_placement(placement)
    {
    }

    void norm(const std::string& name, std::int64_t size, std::vector<float>& gain)
    {
        gain.resize(static_cast<std::size_t>(size));
        m_pieces.push_back({name + ".weight", 0, 1, gain});
        m_gains.emplace_back(gain);
    }

    void linear(std::int64_t inputs, bool hasBias, std::vector<StoredRows> parts, Linear& target)
    {
        std::int64_t outputs = 0;
        for (const StoredRows& part : parts)
            outputs += part.count;
        target = m_placement == WeightPlacement::Resident
            ? Linear(outputs, inputs, hasBias)
            : Linear(
                outputs, inputs, hasBias, std::make_unique<CheckpointRows>(m_checkpoint, m_adapter, parts, inputs));
        std::int64_t output = 0;
        for (const StoredRows& part : parts) {
            if (m_placement == WeightPlacement::Resident)
                weight(part, output, target);
            if (hasBias)
                bias(part, output, target);
            output += part.count;
        }
    }

    std::span<const Piece> pieces() const { return m_pieces; }
    std::span<const std::span<float>> gains() const { return m_gains; }

private:
    static constexpr std::int64_t pieceFloats = 1 << 18;

    void weight(const StoredRows& part, std::int64_t output, Linear& target)
    {
        const std::int64_t inputs = target.inputs();
        const std::int64_t rowsPerPiece = std::max<std::int64_t>(1, pieceFloats / inputs);
        for (std::int64_t row = 0; row < part.count; row += rowsPerPiece) {
            const std::int64_t end = std::min(part.count, row + rowsPerPiece);
            m_pieces.push_back({part.name + ".weight", part.begin + row, part.begin + end,
                target.weight().subspan(static_cast<std::size_t>((output + row) * inputs),
                    static_cast<std::size_t>((end - row) * inputs))});
        }
    }

    void bias(const StoredRows& part, std::int64_t output, Linear& target)
    {
        const auto size = static_cast<std::size_t>(part.count);
        const std::span<float> destination = target.bias().subspan(static_cast<std::size_t>(output), size);
        const std::string tensor = part.name + ".bias";
        if (m_checkpoint.find(tensor)->shape.front() == part.count) {
            m_pieces.push_back({tensor, 0, 1, destination});
            return;
        }
        const std::vector<float> whole = m_checkpoint.readFloat32(tensor); // of a fused projection
        std::copy_n(whole.begin() + part.begin, part.count, destination.begin());
    }

    const Checkpoint& m_checkpoint;
    std::shared_ptr<const Adapter> m_adapter;
    WeightPlacement m_placement;
    std::vector<Piece> m_pieces;
    std::vector<std::span<float>> m_gains;
};

void layOutLayer(Layout& layout, const ModelConfig& config, const std::string& prefix, LayerWeights& layer)
{
    const std::int64_t hidden = config.hiddenSize;
    const std::int64_t inner = config.intermediateSize;
    const std::int64_t queries = std::int64_t{config.numHeads} * config.headDim;
    const std::int64_t keys = std::int64_t{config.numKvHeads} * config.headDim;
    const std::string attention = prefix + "self_attn.";
    const std::string mlp = prefix + "mlp.";

    layout.norm(prefix + "input_layernorm", hidden, layer.attentionNorm);
    if (config.fusedProjections) {
        layout.linear(hidden, config.qkvBias, {{attention + "qkv_proj", 0, queries + 2 * keys}}, layer.qkv);
        layout.linear(hidden, config.mlpBias, {{mlp + "gate_up_proj", 0, inner}}, layer.gate);
        layout.linear(hidden, config.mlpBias, {{mlp + "gate_up_proj", inner, inner}}, layer.up);
    } else {
        layout.linear(hidden, config.qkvBias,
            {{attention + "q_proj", 0, queries}, {attention + "k_proj", 0, keys}, {attention + "v_proj", 0, keys}},
            layer.qkv);
        layout.linear(hidden, config.mlpBias, {{mlp + "gate_proj", 0, inner}}, layer.gate);
        layout.linear(hidden, config.mlpBias, {{mlp + "up_proj", 0, inner}}, layer.up);
    }
    layout.linear(queries, config.outputBias, {{attention + "o_proj", 0, hidden}}, layer.output);
    layout.linear(inner, config.mlpBias, {{mlp + "down_proj", 0, hidden}}, layer.down);
    if (config.qkNorm) {
        layout.norm(attention + "q_norm", config.headDim, layer.queryNorm);
        layout.norm(attention + "k_norm", config.headDim, layer.keyNorm);
    }
    // Where outputs are normalised too, Hugging Face's "post_attention_layernorm" is that of attention's output.
    layout.norm(
        prefix + "post_attention_layernorm", hidden, config.outputNorms ? layer.attentionOutputNorm : layer.mlpNorm);
    if (config.outputNorms) {
        layout.norm(prefix + "pre_feedforward_layernorm", hidden, layer.mlpNorm);
        layout.norm(prefix + "post_feedforward_layernorm", hidden, layer.mlpOutputNorm);
    }
}

} // namespace

void ModelWeights::prefetch(int layer) const
{
    if (layer == static_cast<int>(layers.size())) {
        logits().prefetch();
        return;
    }
    const LayerWeights& next = layers[static_cast<std::size_t>(layer)];
    for (const Linear* const linear : {&next.qkv, &next.output, &next.gate, &next.up, &next.down})
        linear->prefetch();
}

ModelWeights loadWeights(const Checkpoint& checkpoint, std::shared_ptr<const Adapter> adapter,
    WeightPlacement placement, TaskRunner& runner, const std::function<bool(double)>& progress)
{
    const ModelConfig& config = checkpoint.config();
    ModelWeights weights;
    Layout layout(checkpoint, adapter, placement);
    layout.linear(config.hiddenSize, false, {{"model.embed_tokens", 0, config.vocabSize}}, weights.embedding);
    weights.layers.resize(static_cast<std::size_t>(config.numLayers));
    for (int i = 0; i < config.numLayers; ++i)
        layOutLayer(layout, config, fmt::format("model.layers.{}.", i), weights.layers[static_cast<std::size_t>(i)]);
    layout.norm("model.norm", config.hiddenSize, weights.finalNorm);
    if (!config.tiedEmbeddings)
        layout.linear(config.hiddenSize, false, {{"lm_head", 0, config.vocabSize}}, weights.head);

    const std::span<const Piece> pieces = layout.pieces();
    double total = 0;
    for (const Piece& piece : pieces)
        total += static_cast<double>(piece.destination.size());
    WorkMeter meter(progress, total);
    runner.run(std::ssize(pieces), [&](std::int64_t task, int) {
        const Piece& piece = pieces[static_cast<std::size_t>(task)];
        readPiece(checkpoint, adapter.get(), piece);
        meter.advance(static_cast<double>(piece.destination.size()));
    });
    for (const std::span<float> gain : layout.gains())
        for (float& value : gain)
            value += static_cast<float>(config.normOffset);
    meter.finish();
    return weights;
}

} // namespace kvloupe
