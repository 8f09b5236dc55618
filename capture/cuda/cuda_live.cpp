// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/cuda/cuda_live.h"

#include "capture/cuda/cuda_device.h"
#include "capture/cuda/device_live_model.h"

#include <utility>

namespace kvloupe::cuda {

KernelLive::KernelLive(Description description, std::unique_ptr<AttentionKernels> kernels)
    : m_description(std::move(description))
    , m_kernels(std::move(kernels))
{
}

KernelLive::~KernelLive() = default;

std::shared_ptr<const LiveModel> KernelLive::load(const Checkpoint& checkpoint, std::shared_ptr<const Adapter> adapter,
    int threads, const std::function<bool(double)>& progress)
{
    DeviceTransformer::Options options;
    options.type = m_description.type;
    options.onCpu = m_description.onCpu;
    options.threads = threads;
    options.adapter = std::move(adapter);
    options.progress = progress;
    return onDevice(DeviceTransformer::load(checkpoint, *m_kernels, options));
}

std::shared_ptr<LiveDevice> openCudaLive(ComputeType type)
{
    CudaDevice device = openCudaDevice();
    return std::make_shared<KernelLive>(KernelLive::Description{device.name, type, false}, std::move(device.kernels));
}

} // namespace kvloupe::cuda
