// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/cuda/transfer_ring.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>

namespace kvloupe::cuda {

/// Copies when they are waited for, and counts what is allocated.
class FakeTransferDevice final : public TransferDevice {
public:
    ~FakeTransferDevice() override { EXPECT_TRUE(m_allocated.empty()) << "memory was not given back"; }

    void* allocateDevice(std::size_t bytes) override
    {
        if (devices++ == failingAllocation)
            throw std::runtime_error("no memory");
        return allocate(bytes);
    }
    void* allocateHost(std::size_t bytes) override { return allocate(bytes); }
    void freeDevice(void* memory) noexcept override { release(memory); }
    void freeHost(void* memory) noexcept override { release(memory); }
    void beginCopy(int slot, void* host, const void* device, std::size_t bytes) override
    {
        const std::lock_guard lock(m_mutex);
        EXPECT_EQ(m_copies.count(slot), 0U) << "the slot is still on its way";
        m_copies[slot] = {host, device, bytes};
        begun = std::max<std::size_t>(begun, m_copies.size());
    }
    void waitForCopy(int slot) override
    {
        std::this_thread::sleep_for(copyTime);
        const std::lock_guard lock(m_mutex);
        const Copy copy = m_copies.at(slot);
        m_copies.erase(slot);
        std::memcpy(copy.host, copy.device, copy.bytes);
    }

    std::chrono::milliseconds copyTime{0};
    std::size_t begun = 0;
    int devices = 0;
    int failingAllocation = -1;

private:
    struct Copy {
        void* host;
        const void* device;
        std::size_t bytes;
    };

    void* allocate(std::size_t bytes)
    {
        void* memory = std::malloc(bytes);
        const std::lock_guard lock(m_mutex);
        m_allocated.insert(memory);
        return memory;
    }
    void release(void* memory) noexcept
    {
        const std::lock_guard lock(m_mutex);
        EXPECT_EQ(m_allocated.erase(memory), 1U);
        std::free(memory);
    }

    std::mutex m_mutex;
    std::set<void*> m_allocated;
    std::map<int, Copy> m_copies;
};

} // namespace kvloupe::cuda
