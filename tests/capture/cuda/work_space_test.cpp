// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/cuda/work_space.h"

#include "host_kernels.h"

#include <gtest/gtest.h>

#include <cstring>

namespace kvloupe::cuda {
namespace {

TEST(WorkSpace, IsKeptWhileItIsLargeEnough)
{
    HostKernels kernels;
    {
        WorkSpace space(kernels);
        EXPECT_FALSE(space.holds(1, 0));
        space.reserve(1000, 100);
        const std::byte* const memory = space.device();
        space.reserve(900, 50);
        EXPECT_EQ(space.device(), memory);
        EXPECT_EQ(kernels.allocations, 1);
        space.reserve(900, 200);
        EXPECT_TRUE(space.holds(1000, 200));
        EXPECT_EQ(kernels.allocations, 2);
        EXPECT_EQ(kernels.frees, 1);
    }
    EXPECT_TRUE(kernels.isIdle());
}

TEST(WorkSpace, WhatIsFetchedIsOfItsTime)
{
    HostKernels kernels;
    {
        WorkSpace space(kernels);
        space.reserve(4, 4);
        std::array<int, 2> buffers{};
        for (int i = 0; i < 2; ++i) {
            std::memset(space.device(), 10 + i, 4); // a launch
            buffers[static_cast<std::size_t>(i)] = space.beginFetch(space.device(), 4);
        }
        for (int i = 0; i < 2; ++i) {
            const auto bytes = space.fetched(buffers[static_cast<std::size_t>(i)]);
            ASSERT_EQ(bytes.size(), 4U);
            EXPECT_EQ(static_cast<int>(bytes[3]), 10 + i);
        }
        EXPECT_THROW(space.beginFetch(space.device(), 5), std::invalid_argument);
        space.beginFetch(space.device(), 4); // and it goes with a copy on its way
    }
    EXPECT_TRUE(kernels.isIdle());
}

TEST(WorkSpace, HoldsNothingAfterMemoryDidNotSuffice)
{
    HostKernels kernels(1000);
    WorkSpace space(kernels);
    space.reserve(600, 10);
    EXPECT_THROW(space.reserve(1001, 10), DeviceMemoryError);
    EXPECT_FALSE(space.holds(1, 1));
    space.reserve(1000, 10);
    EXPECT_TRUE(space.holds(1000, 10));
}

} // namespace
} // namespace kvloupe::cuda
