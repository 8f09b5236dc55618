// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/cuda/cuda_capture.h"

#ifdef KVLOUPE_CUDA_DEVICE
#include "capture/cuda/cuda_kernels.h"
#endif
#include "capture/model/model_error.h"

#include <fmt/format.h>

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
    DeviceTransformer::Options options;
    options.type = m_description.type;
    options.onCpu = m_description.onCpu;
    options.threads = threads;
    options.adapter = std::move(adapter);
    options.progress = progress;
    m_model = DeviceTransformer::load(checkpoint, *m_kernels, options);
}

std::unique_ptr<SampleRunner> KernelCapture::begin(
    AttentionRecorder& recorder, std::vector<LayerOptions> layers, std::int64_t capacity, bool outputNorms)
{
    return std::make_unique<KernelRunner>(
        *m_model, *m_kernels, *m_transfer, recorder, m_description, std::move(layers), capacity, outputNorms);
}

std::shared_ptr<CaptureDevice> openCuda([[maybe_unused]] ComputeType type)
{
#ifdef KVLOUPE_CUDA_DEVICE
    const DeviceFacts facts = deviceFacts();
    if (const std::string why = whyUnsupported(facts); !why.empty())
        throw ModelError(why);
    KernelCapture::Description description;
    description.name = fmt::format("cuda ({})", facts.name);
    description.type = type;
    // LibTorch computes on the default stream as well, so that one follows the other.
    return std::make_shared<KernelCapture>(description, makeCudaKernels(nullptr), makeCudaTransfer(nullptr));
#else
    throw ModelError("device cuda: this program was built without CUDA; the preset cuda with -DKVLOUPE_CUDA_TORCH=DIR "
                     "builds one that has it");
#endif
}

} // namespace kvloupe::cuda
