// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/cuda/cuda_device.h"

#ifdef KVLOUPE_CUDA_DEVICE
#include "capture/cuda/cuda_kernels.h"

#include <c10/cuda/CUDACachingAllocator.h>
#endif
#include "capture/model/model_error.h"

#include <fmt/format.h>

namespace kvloupe::cuda {

CudaDevice openCudaDevice()
{
#ifdef KVLOUPE_CUDA_DEVICE
    const DeviceFacts facts = deviceFacts();
    if (const std::string why = whyUnsupported(facts); !why.empty())
        throw ModelError(why);
    setMemoryReclaimer([] { c10::cuda::CUDACachingAllocator::emptyCache(); }); // what LibTorch keeps for later
    // LibTorch computes on the default stream as well, so that one follows the other.
    return {fmt::format("cuda ({})", facts.name), makeCudaKernels(nullptr), makeCudaTransfer(nullptr)};
#else
    throw ModelError("device cuda: this program was built without CUDA; the preset cuda with -DKVLOUPE_CUDA_TORCH=DIR "
                     "builds one that has it");
#endif
}

std::optional<std::uint64_t> freeDeviceMemory()
{
#ifdef KVLOUPE_CUDA_DEVICE
    if (whyUnsupported(deviceFacts()).empty())
        return freeMemoryOfDevice();
#endif
    return std::nullopt;
}

} // namespace kvloupe::cuda
