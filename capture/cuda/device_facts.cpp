// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/cuda/cuda_kernels.h"

#include <fmt/format.h>

namespace kvloupe::cuda {

namespace {

constexpr int neededMajor = 8; // mma.sync of bfloat16, cp.async

std::string versionText(int version)
{
    return fmt::format("{}.{}", version / 1000, version % 1000 / 10);
}

} // namespace

std::string whyUnsupported(const DeviceFacts& facts)
{
    if (facts.driverVersion == 0)
        return "device cuda: found no NVIDIA driver";
    // A driver runs every program for its major version of CUDA.
    if (facts.driverVersion / 1000 < facts.runtimeVersion / 1000) {
        return fmt::format("device cuda: the driver runs CUDA {}, this program needs a driver for CUDA {} or newer",
            versionText(facts.driverVersion), versionText(facts.runtimeVersion / 1000 * 1000));
    }
    if (facts.devices == 0)
        return fmt::format("device cuda: found no GPU{}", facts.error.empty() ? "" : " (" + facts.error + ")");
    if (facts.computeMajor < neededMajor) {
        return fmt::format("device cuda: {} has compute capability {}.{}, expected {}.0 or newer (A100, RTX 30)",
            facts.name, facts.computeMajor, facts.computeMinor, neededMajor);
    }
    return {};
}

} // namespace kvloupe::cuda
