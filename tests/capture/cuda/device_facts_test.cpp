// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/cuda/cuda_kernels.h"

#include <gtest/gtest.h>

namespace kvloupe::cuda {
namespace {

TEST(DeviceFacts, SayWhichDriverAndWhichDeviceAreNeeded)
{
    DeviceFacts facts;
    facts.runtimeVersion = 13000;
    EXPECT_EQ(whyUnsupported(facts), "device cuda: found no NVIDIA driver");
    facts.driverVersion = 12080;
    EXPECT_EQ(whyUnsupported(facts),
        "device cuda: the driver runs CUDA 12.8, this program needs a driver for CUDA 13.0 or newer");
    facts.driverVersion = 13000;
    EXPECT_EQ(whyUnsupported(facts), "device cuda: found no GPU");
    facts.error = "no CUDA-capable device is detected";
    EXPECT_EQ(whyUnsupported(facts), "device cuda: found no GPU (no CUDA-capable device is detected)");
    facts = {1, "Tesla T4", 7, 5, 13000, 13020, {}};
    EXPECT_EQ(whyUnsupported(facts),
        "device cuda: Tesla T4 has compute capability 7.5, expected 8.0 or newer (A100, RTX 30)");
    facts = {1, "NVIDIA H100", 9, 0, 13000, 13020, {}};
    EXPECT_EQ(whyUnsupported(facts), "");
}

} // namespace
} // namespace kvloupe::cuda
