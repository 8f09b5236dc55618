// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/cuda/device_weights.h"

#include "capture/model/task_runner.h"

#include <algorithm>

namespace kvloupe::cuda {

namespace {

constexpr std::int64_t pieceFloats = std::int64_t{1} << 24; // copied at once
constexpr std::int64_t taskFloats = std::int64_t{1} << 18; // read by one thread

class Copier {
public:
    Copier(at::Device device, at::ScalarType type, TaskRunner& runner, WorkMeter& meter)
        : m_device(device)
        , m_type(type)
        , m_runner(runner)
        , m_meter(meter)
        , m_piece(static_cast<std::size_t>(pieceFloats))
    {
    }

    at::Tensor vector(std::span<const float> values, at::ScalarType type) const
    {
        if (values.empty())
            return {};
        at::Tensor host = at::empty({std::ssize(values)}, at::kFloat);
        std::ranges::copy(values, host.data_ptr<float>());
        return host.to(m_device, type);
    }
    at::Tensor gain(const std::vector<float>& values) const { return vector(values, at::kFloat); }

    DeviceLinear linear(const Linear& from)
    {
        const std::int64_t inputs = from.inputs();
        DeviceLinear to{at::empty({from.outputs(), inputs}, at::TensorOptions(m_device).dtype(m_type)),
            vector(from.bias(), m_type)};
        const std::int64_t most = std::max<std::int64_t>(1, pieceFloats / inputs);
        m_piece.resize(static_cast<std::size_t>(std::max(pieceFloats, inputs)));
        for (std::int64_t begin = 0; begin < from.outputs(); begin += most) {
            const std::int64_t rows = std::min(most, from.outputs() - begin);
            read(from, begin, rows);
            to.weight.narrow(0, begin, rows).copy_(at::from_blob(m_piece.data(), {rows, inputs}, at::kFloat));
            m_meter.advance(static_cast<double>(rows * inputs));
        }
        return to;
    }

private:
    void read(const Linear& from, std::int64_t begin, std::int64_t rows)
    {
        const std::int64_t inputs = from.inputs();
        const EvenSplit tasks = EvenSplit::ofAtMost(rows, std::max<std::int64_t>(1, taskFloats / inputs), 1);
        m_runner.run(tasks.pieces, [&](std::int64_t task, int) {
            const std::int64_t first = tasks.begin(task);
            const auto size = static_cast<std::size_t>((tasks.end(task) - first) * inputs);
            const std::span<float> out = std::span(m_piece).subspan(static_cast<std::size_t>(first * inputs), size);
            const LinearPiece piece = from.piece(begin + first, begin + tasks.end(task), out);
            if (piece.weight.data() != out.data())
                std::ranges::copy(piece.weight, out.begin());
        });
    }

    at::Device m_device;
    at::ScalarType m_type;
    TaskRunner& m_runner;
    WorkMeter& m_meter;
    std::vector<float> m_piece;
};

double floatsOf(const ModelWeights& weights)
{
    std::int64_t floats = 0;
    const auto add = [&](const Linear& linear) { floats += linear.outputs() * linear.inputs(); };
    add(weights.embedding);
    add(weights.head);
    for (const LayerWeights& layer : weights.layers)
        for (const Linear* linear : {&layer.qkv, &layer.output, &layer.gate, &layer.up, &layer.down})
            add(*linear);
    return static_cast<double>(floats);
}

} // namespace

DeviceWeights copyWeights(const ModelWeights& weights, at::Device device, at::ScalarType type, TaskRunner& runner,
    const std::function<bool(double)>& progress)
{
    WorkMeter meter(progress, floatsOf(weights));
    Copier copier(device, type, runner, meter);
    DeviceWeights result;
    const DeviceLinear embedding = copier.linear(weights.embedding);
    result.embedding = embedding.weight;
    for (const LayerWeights& layer : weights.layers) {
        DeviceLayerWeights& to = result.layers.emplace_back();
        to.attentionNorm = copier.gain(layer.attentionNorm);
        to.qkv = copier.linear(layer.qkv);
        to.queryNorm = copier.gain(layer.queryNorm);
        to.keyNorm = copier.gain(layer.keyNorm);
        to.output = copier.linear(layer.output);
        to.attentionOutputNorm = copier.gain(layer.attentionOutputNorm);
        to.mlpNorm = copier.gain(layer.mlpNorm);
        to.gate = copier.linear(layer.gate);
        to.up = copier.linear(layer.up);
        to.down = copier.linear(layer.down);
        to.mlpOutputNorm = copier.gain(layer.mlpOutputNorm);
    }
    result.finalNorm = copier.gain(weights.finalNorm);
    result.logits = weights.head.outputs() > 0 ? copier.linear(weights.head) : embedding;
    meter.finish();
    return result;
}

} // namespace kvloupe::cuda
