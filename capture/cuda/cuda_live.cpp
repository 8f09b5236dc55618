// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/cuda/cuda_live.h"

#include "capture/cuda/cuda_device.h"
#include "capture/cuda/device_live_model.h"

#include <utility>

namespace kvloupe::cuda {

KernelLive::KernelLive(DeviceModel model, std::unique_ptr<AttentionKernels> kernels)
    : m_model(std::move(model))
    , m_kernels(std::move(kernels))
{
}

KernelLive::~KernelLive() = default;

std::shared_ptr<const LiveModel> KernelLive::load(const Checkpoint& checkpoint, std::shared_ptr<const Adapter> adapter,
    int threads, const std::function<bool(double)>& progress)
{
    return onDevice(m_model.load(checkpoint, *m_kernels, std::move(adapter), threads, progress));
}

std::shared_ptr<LiveDevice> openCudaLive(ComputeType type)
{
    CudaDevice device = openCudaDevice();
    return std::make_shared<KernelLive>(DeviceModel{device.name, type}, std::move(device.kernels));
}

} // namespace kvloupe::cuda
