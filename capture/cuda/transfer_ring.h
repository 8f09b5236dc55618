// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

namespace kvloupe::cuda {

/// What a TransferRing needs of a device. Calls of one object come from one thread at a time, except waitForCopy.
class TransferDevice {
public:
    virtual ~TransferDevice() = default;

    virtual void* allocateDevice(std::size_t bytes) = 0; ///< DeviceError if there is not enough
    virtual void* allocateHost(std::size_t bytes) = 0; ///< memory that copies overlap with computing (pinned)
    virtual void freeDevice(void* memory) noexcept = 0;
    virtual void freeHost(void* memory) noexcept = 0;
    /// Begins a copy once everything that was launched before is done; the device goes on meanwhile. `slot` names the
    /// copy until it is waited for.
    virtual void beginCopy(int slot, void* host, const void* device, std::size_t bytes) = 0;
    virtual void waitForCopy(int slot) = 0; ///< from any thread
};

/// A fixed number of buffers between kernels and what becomes of their results on the host: kernels fill one on the
/// device, it is copied while the next one is filled, and a thread consumes what has arrived (compression, writing).
/// Whoever asks for a buffer waits while all are on their way, so that memory is bounded however slow the disk is.
///
/// acquire(), submit() and finish() are called by one thread. After an exception of a consumer nothing more is
/// consumed, and each of them throws it.
class TransferRing {
public:
    struct Slot {
        int number = 0;
        std::byte* device = nullptr;
    };
    using Consumer = std::function<void(std::span<const std::byte> arrived)>;

    /// Memory: slots * slotBytes on the device and as much on the host. `device` outlives this object.
    TransferRing(TransferDevice& device, int slots, std::size_t slotBytes);
    ~TransferRing(); ///< a consumer that runs is waited for, what is still on its way is dropped
    TransferRing(const TransferRing&) = delete;
    TransferRing& operator=(const TransferRing&) = delete;

    std::size_t slotBytes() const { return m_slotBytes; }
    Slot acquire();
    /// Hands on the first `bytes` of a slot that was acquired. Consumers are called in the order of submission, one at
    /// a time, on a thread of this object.
    void submit(const Slot& slot, std::size_t bytes, Consumer consume);
    /// Returns when everything that was submitted has been consumed.
    void finish();

private:
    struct Memory {
        std::byte* device = nullptr;
        std::byte* host = nullptr;
    };
    struct Work {
        int slot;
        std::size_t bytes;
        Consumer consume;
    };

    void consumeAll();
    void throwFailure() const; // under the lock
    void release() noexcept;

    TransferDevice& m_device;
    std::size_t m_slotBytes;
    std::vector<Memory> m_memory;
    std::mutex m_mutex;
    std::condition_variable m_changed;
    std::vector<int> m_free;
    std::deque<Work> m_work;
    bool m_busy = false; // the consumer has a slot in hand
    bool m_stopping = false;
    std::exception_ptr m_failure;
    std::jthread m_consumer; // last: it ends before the rest goes
};

} // namespace kvloupe::cuda
