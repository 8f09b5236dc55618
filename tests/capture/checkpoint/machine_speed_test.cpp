// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/checkpoint/machine_speed.h"

#include <gtest/gtest.h>

namespace kvloupe {
namespace {

TEST(MachineSpeed, IsThatOfAMachineThatExists)
{
    const double peak = peakFlops();
    EXPECT_GT(peak, 1e8); // a Raspberry Pi under a sanitizer is faster
    EXPECT_LT(peak, 1e15); // several hundred of the fastest cores
}

} // namespace
} // namespace kvloupe
