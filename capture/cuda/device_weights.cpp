// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/cuda/device_weights.h"

#include "capture/cuda/weight_upload.h"
#include "capture/model/model_error.h"
#include "capture/model/task_runner.h"

#include <fmt/format.h>

#include <algorithm>

namespace kvloupe::cuda {

namespace {

constexpr std::int64_t pieceBytes = std::int64_t{16} << 20; // copied at once, a row at least
constexpr std::int64_t taskBytes = std::int64_t{1} << 20; // read by one thread

/// f(begin, end) for the pieces of rows [begin, end).
template <typename F> void forPieces(std::int64_t begin, std::int64_t end, std::int64_t rowBytes, F&& f)
{
    const std::int64_t most = std::max<std::int64_t>(1, pieceBytes / rowBytes);
    for (; begin < end; begin += most)
        f(begin, std::min(begin + most, end));
}

class Copier {
public:
    Copier(AttentionKernels& kernels, at::Device device, at::ScalarType type, TaskRunner& runner, WorkMeter& meter)
        : m_upload(kernels, static_cast<std::size_t>(pieceBytes))
        , m_device(device)
        , m_type(type)
        , m_runner(runner)
        , m_meter(meter)
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
        for (std::int64_t row = 0; row < from.outputs();) {
            const StoredRun run = from.isStreamed() ? from.stored()->run(row) : StoredRun{from.outputs(), std::nullopt};
            if (run.type && m_type == at::kFloat)
                send<float>(from, row, run, to.weight);
            else if (run.type && m_type == at::kBFloat16)
                send<Bfloat16>(from, row, run, to.weight);
            else if (run.type)
                send<Float16>(from, row, run, to.weight);
            else
                copy(from, row, run.end, to.weight);
            row = run.end;
        }
        from.release();
        return to;
    }

    /// Waits until everything is there.
    void finish() { m_upload.finish(); }

private:
    /// Rows as they are stored.
    template <typename Element>
    void send(const Linear& from, std::int64_t first, const StoredRun& run, const at::Tensor& weight)
    {
        const std::int64_t inputs = from.inputs();
        const std::int64_t rowBytes = inputs / blockLength(*run.type) * blockBytes(*run.type);
        auto* const out = static_cast<Element*>(weight.data_ptr());
        forPieces(first, run.end, rowBytes, [&](std::int64_t begin, std::int64_t end) {
            const auto bytes = static_cast<std::size_t>((end - begin) * rowBytes);
            const auto read = [&](std::span<std::byte> piece) {
                forTasks(end - begin, rowBytes, [&](std::int64_t taskBegin, std::int64_t taskEnd) {
                    from.stored()->readStored(begin + taskBegin, begin + taskEnd,
                        piece.subspan(static_cast<std::size_t>(taskBegin * rowBytes),
                            static_cast<std::size_t>((taskEnd - taskBegin) * rowBytes)));
                });
            };
            const auto refuse = [&from, begin, inputs](std::int64_t index) {
                std::vector<float> row(static_cast<std::size_t>(inputs));
                from.readRow(begin + index / inputs, row); // throws, with the names
                throw ModelError(
                    fmt::format("device: row {}, column {} of a weight is not finite there, but is on the host",
                        begin + index / inputs, index % inputs));
            };
            m_upload.send(*run.type, bytes, (end - begin) * inputs, out + begin * inputs, read, refuse);
            m_meter.advance(static_cast<double>((end - begin) * inputs));
        });
    }

    /// Rows that are computed on the host.
    void copy(const Linear& from, std::int64_t first, std::int64_t last, const at::Tensor& weight)
    {
        const std::int64_t inputs = from.inputs();
        const std::int64_t rowBytes = inputs * static_cast<std::int64_t>(sizeof(float));
        forPieces(first, last, rowBytes, [&](std::int64_t begin, std::int64_t end) {
            m_piece.resize(static_cast<std::size_t>((end - begin) * inputs));
            forTasks(end - begin, rowBytes, [&](std::int64_t taskBegin, std::int64_t taskEnd) {
                const std::span<float> out = std::span(m_piece).subspan(static_cast<std::size_t>(taskBegin * inputs),
                    static_cast<std::size_t>((taskEnd - taskBegin) * inputs));
                const LinearPiece piece = from.piece(begin + taskBegin, begin + taskEnd, out);
                if (piece.weight.data() != out.data())
                    std::ranges::copy(piece.weight, out.begin());
            });
            weight.narrow(0, begin, end - begin)
                .copy_(at::from_blob(m_piece.data(), {end - begin, inputs}, at::kFloat));
            m_meter.advance(static_cast<double>((end - begin) * inputs));
        });
    }

    /// f(begin, end) for parts of `rows` rows, on the threads of the runner.
    template <typename F> void forTasks(std::int64_t rows, std::int64_t rowBytes, const F& f)
    {
        const EvenSplit tasks = EvenSplit::ofAtMost(rows, std::max<std::int64_t>(1, taskBytes / rowBytes), 1);
        m_runner.run(tasks.pieces, [&](std::int64_t task, int) { f(tasks.begin(task), tasks.end(task)); });
    }

    WeightUpload m_upload;
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

DeviceWeights copyWeights(const ModelWeights& weights, AttentionKernels& kernels, at::Device device,
    at::ScalarType type, TaskRunner& runner, const std::function<bool(double)>& progress)
{
    WorkMeter meter(progress, floatsOf(weights));
    Copier copier(kernels, device, type, runner, meter);
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
    copier.finish();
    meter.finish();
    return result;
}

} // namespace kvloupe::cuda
