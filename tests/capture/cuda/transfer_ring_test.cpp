// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/cuda/transfer_ring.h"
#include "fake_transfer_device.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <future>
#include <stdexcept>
#include <string>

namespace kvloupe::cuda {
namespace {

void fill(const TransferRing::Slot& slot, int value)
{
    std::memcpy(slot.device, &value, sizeof value);
}

int valueOf(std::span<const std::byte> bytes)
{
    int value = 0;
    std::memcpy(&value, bytes.data(), sizeof value);
    return value;
}

TEST(TransferRing, EverythingArrivesOnceAndInOrder)
{
    FakeTransferDevice device;
    TransferRing ring(device, 3, 64);
    std::vector<int> arrived;
    for (int i = 0; i < 500; ++i) {
        const auto slot = ring.acquire();
        fill(slot, i);
        ring.submit(slot, sizeof i, [&](std::span<const std::byte> bytes) {
            EXPECT_EQ(bytes.size(), sizeof(int));
            arrived.push_back(valueOf(bytes));
        });
    }
    ring.finish();
    ASSERT_EQ(arrived.size(), 500U);
    for (int i = 0; i < 500; ++i)
        EXPECT_EQ(arrived[static_cast<std::size_t>(i)], i);
    EXPECT_LE(device.begun, 3U);
}

TEST(TransferRing, WhoeverFillsWaitsForASlowConsumer)
{
    FakeTransferDevice device;
    TransferRing ring(device, 2, 64);
    std::promise<void> gate;
    const std::shared_future<void> open = gate.get_future().share();
    std::atomic<int> acquired = 0;
    std::jthread producer([&] {
        for (int i = 0; i < 5; ++i) {
            const auto slot = ring.acquire();
            ++acquired;
            ring.submit(slot, 4, [&](std::span<const std::byte>) { open.wait(); });
        }
        ring.finish();
    });
    // The first slot is in the consumer's hands, the second waits: a third is never given out before the gate opens.
    while (acquired < 2)
        std::this_thread::yield();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    EXPECT_EQ(acquired, 2);
    gate.set_value();
    producer.join();
    EXPECT_EQ(acquired, 5);
}

TEST(TransferRing, AFailureOfAConsumerReachesWhoeverFills)
{
    FakeTransferDevice device;
    TransferRing ring(device, 2, 64);
    int consumed = 0;
    const auto feed = [&] {
        for (int i = 0; i < 50; ++i) {
            const auto slot = ring.acquire();
            ring.submit(slot, 4, [&](std::span<const std::byte>) {
                if (++consumed == 3)
                    throw std::runtime_error("disk full");
            });
        }
        ring.finish();
    };
    EXPECT_THROW(
        {
            try {
                feed();
            } catch (const std::runtime_error& error) {
                EXPECT_EQ(std::string(error.what()), "disk full");
                throw;
            }
        },
        std::runtime_error);
    EXPECT_EQ(consumed, 3) << "nothing is consumed after a failure";
    EXPECT_THROW(ring.acquire(), std::runtime_error) << "and nobody may believe that it is";
    EXPECT_THROW(ring.finish(), std::runtime_error);
}

TEST(TransferRing, GivesBackWhatItHasWhenMemoryEnds)
{
    FakeTransferDevice device;
    device.failingAllocation = 2;
    EXPECT_THROW(TransferRing(device, 4, 64), std::runtime_error);
}

TEST(TransferRing, MayGoWhileCopiesAreUnderWay)
{
    FakeTransferDevice device;
    TransferRing ring(device, 2, 64);
    const auto slot = ring.acquire();
    ring.submit(slot, 4, [](std::span<const std::byte>) {});
    EXPECT_THROW(ring.submit(ring.acquire(), 65, {}), std::invalid_argument);
}

} // namespace
} // namespace kvloupe::cuda
