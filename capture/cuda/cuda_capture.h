// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/cuda/device_transformer.h"
#include "capture/recorder/capture_device.h"

#include <cstdint>
#include <memory>
#include <optional>

namespace kvloupe::cuda {

/// Records with a DeviceTransformer, of which `kernels` and `transfer` are the device (both stay its own).
class KernelCapture final : public CaptureDevice {
public:
    struct Description {
        DeviceModel model;
        int slots = 2; ///< of the ring that map tiles leave through
        std::size_t slotBytes = std::size_t{256} << 20;
        std::optional<std::uint64_t> freeMemory = {}; ///< of the device, for cost()
    };

    KernelCapture(
        Description description, std::unique_ptr<AttentionKernels> kernels, std::unique_ptr<TransferDevice> transfer);
    ~KernelCapture() override;

    std::string name() const override { return m_description.model.name; }
    std::string computeType() const override { return std::string(computeTypeName(m_description.model.type)); }
    std::string attentionImplementation() const override;
    DeviceCost cost(const Checkpoint& checkpoint, const DeviceJob& job) const override;
    void load(const Checkpoint& checkpoint, std::shared_ptr<const Adapter> adapter, int threads,
        const std::function<bool(double)>& progress) override;
    std::unique_ptr<SampleRunner> begin(AttentionRecorder& recorder, std::vector<LayerOptions> layers,
        std::int64_t capacity, bool outputNorms) override;

private:
    Description m_description;
    std::unique_ptr<AttentionKernels> m_kernels;
    std::unique_ptr<TransferDevice> m_transfer;
    std::unique_ptr<DeviceTransformer> m_model;
};

/// The GPU of this machine; errors as openCudaDevice().
std::shared_ptr<CaptureDevice> openCuda(ComputeType type);

/// What only tells the cost of a run; also where there is no GPU.
std::shared_ptr<CaptureDevice> estimateCuda(ComputeType type);

} // namespace kvloupe::cuda
