// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/cache/live_device.h"
#include "capture/cuda/device_transformer.h"

#include <memory>
#include <string>

namespace kvloupe::cuda {

/// Runs compressed caches with a DeviceTransformer, of which `kernels` are the device (they stay its own).
class KernelLive final : public LiveDevice {
public:
    KernelLive(DeviceModel model, std::unique_ptr<AttentionKernels> kernels);
    ~KernelLive() override;

    std::string name() const override { return m_model.name; }
    std::string computeType() const override { return std::string(computeTypeName(m_model.type)); }
    std::shared_ptr<const LiveModel> load(const Checkpoint& checkpoint, std::shared_ptr<const Adapter> adapter,
        int threads, const std::function<bool(double)>& progress) override;

private:
    DeviceModel m_model;
    std::unique_ptr<AttentionKernels> m_kernels;
};

/// The GPU of this machine; errors as openCudaDevice().
std::shared_ptr<LiveDevice> openCudaLive(ComputeType type);

} // namespace kvloupe::cuda
