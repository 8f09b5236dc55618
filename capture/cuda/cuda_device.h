// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/cuda/attention_kernels.h"
#include "capture/cuda/transfer_ring.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace kvloupe::cuda {

/// The GPU of this machine.
struct CudaDevice {
    std::string name; ///< for recordings and results: "cuda (NVIDIA H100)"
    std::unique_ptr<AttentionKernels> kernels;
    std::unique_ptr<TransferDevice> transfer;
};

/// ModelError naming the driver or device that is needed, or that this program was built without CUDA.
CudaDevice openCudaDevice();

/// Nothing where there is no GPU that openCudaDevice() would open.
std::optional<std::uint64_t> freeDeviceMemory();

} // namespace kvloupe::cuda
