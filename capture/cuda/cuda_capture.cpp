// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/cuda/cuda_capture.h"

#include "capture/checkpoint/checkpoint.h"
#include "capture/cuda/cuda_device.h"
#include "capture/cuda/device_needs.h"

#include <fmt/format.h>

#include <utility>

namespace kvloupe::cuda {

namespace {

class KernelRunner final : public SampleRunner {
public:
    KernelRunner(const DeviceTransformer& model, AttentionKernels& kernels, TransferDevice& transfer,
        AttentionRecorder& recorder, const KernelCapture::Description& description, std::vector<LayerOptions> layers,
        std::int64_t capacity, bool outputNorms)
        : m_model(model)
        , m_cache(model.makeCache(capacity))
        , m_layers(kernels, recorder, {transfer, description.slots, description.slotBytes}, {})
        , m_recording{recorder, m_layers, std::move(layers), outputNorms}
    {
    }

    PrefillResult prefill(std::span<const std::int32_t> ids, const std::function<bool(double)>& progress) override
    {
        return m_model.prefill(ids, m_cache, progress, &m_recording);
    }
    DecodeResult decode(std::int32_t id) override { return m_model.decode(id, m_cache, &m_recording); }

private:
    const DeviceTransformer& m_model;
    DeviceCache m_cache;
    LayerRecorder m_layers;
    DeviceRecording m_recording;
};

} // namespace

KernelCapture::KernelCapture(
    Description description, std::unique_ptr<AttentionKernels> kernels, std::unique_ptr<TransferDevice> transfer)
    : m_description(std::move(description))
    , m_kernels(std::move(kernels))
    , m_transfer(std::move(transfer))
{
}

KernelCapture::~KernelCapture() = default;

std::string KernelCapture::attentionImplementation() const
{
    return fmt::format("kvloupe CUDA kernels, {}", computeType());
}

void KernelCapture::load(const Checkpoint& checkpoint, std::shared_ptr<const Adapter> adapter, int threads,
    const std::function<bool(double)>& progress)
{
    m_model = m_description.model.load(checkpoint, *m_kernels, std::move(adapter), threads, progress);
}

std::unique_ptr<SampleRunner> KernelCapture::begin(
    AttentionRecorder& recorder, std::vector<LayerOptions> layers, std::int64_t capacity, bool outputNorms)
{
    return std::make_unique<KernelRunner>(
        *m_model, *m_kernels, *m_transfer, recorder, m_description, std::move(layers), capacity, outputNorms);
}

DeviceCost KernelCapture::cost(const Checkpoint& checkpoint, const DeviceJob& job) const
{
    const ModelConfig& config = checkpoint.config();
    DeviceRun run;
    run.kind = job.kind;
    run.rowOrder = job.rowOrder;
    run.elementBytes = m_description.model.type == ComputeType::Float32 ? 4 : 2;
    run.workBytes = LayerRecorder::Limits().workBytes;
    run.ringBytes = static_cast<std::uint64_t>(m_description.slots) * m_description.slotBytes;
    const auto ofPrompt = [&](std::int64_t tokens) {
        run.promptTokens = tokens;
        run.totalTokens = tokens + job.generated;
        return run;
    };
    const DeviceNeeds needs = deviceNeeds(config, ofPrompt(job.longestPrompt));
    DeviceCost cost;
    cost.memory = {{"weights", needs.weights}, {"cache", needs.cache}, {"activations", needs.activations},
        {"work space", needs.work}, {"map buffers", needs.ring}};
    cost.freeMemory = m_description.freeMemory;
    cost.toHost = job.mapBytes;
    for (const std::int64_t tokens : job.prompts)
        cost.toHost += bytesToHost(config, ofPrompt(tokens), 0);
    for (const auto& [name, shape] : requiredTensors(config)) {
        const TensorInfo& tensor = *checkpoint.find(name);
        cost.toDevice += static_cast<std::uint64_t>(
            tensor.rows() * (tensor.rowLength() / blockLength(tensor.type)) * blockBytes(tensor.type));
    }
    return cost;
}

std::shared_ptr<CaptureDevice> estimateCuda(ComputeType type)
{
    KernelCapture::Description description;
    description.model = {"cuda", type};
    description.freeMemory = freeDeviceMemory();
    return std::make_shared<KernelCapture>(description, nullptr, nullptr);
}

std::shared_ptr<CaptureDevice> openCuda(ComputeType type)
{
    CudaDevice device = openCudaDevice();
    KernelCapture::Description description;
    description.model = {device.name, type};
    return std::make_shared<KernelCapture>(description, std::move(device.kernels), std::move(device.transfer));
}

} // namespace kvloupe::cuda
