// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/cuda/transfer_ring.h"

#include <stdexcept>
#include <utility>

namespace kvloupe::cuda {

TransferRing::TransferRing(TransferDevice& device, int slots, std::size_t slotBytes)
    : m_device(device)
    , m_slotBytes(slotBytes)
{
    try {
        for (int slot = 0; slot < slots; ++slot) {
            m_memory.emplace_back();
            m_memory.back().device = static_cast<std::byte*>(device.allocateDevice(slotBytes));
            m_memory.back().host = static_cast<std::byte*>(device.allocateHost(slotBytes));
            m_free.push_back(slot);
        }
    } catch (...) {
        release();
        throw;
    }
    m_consumer = std::jthread([this] { consumeAll(); });
}

TransferRing::~TransferRing()
{
    {
        const std::lock_guard lock(m_mutex);
        m_stopping = true;
    }
    m_changed.notify_all();
    m_consumer.join();
    release();
}

void TransferRing::release() noexcept
{
    for (const Memory& memory : m_memory) {
        if (memory.device != nullptr)
            m_device.freeDevice(memory.device);
        if (memory.host != nullptr)
            m_device.freeHost(memory.host);
    }
}

TransferRing::Slot TransferRing::acquire()
{
    std::unique_lock lock(m_mutex);
    m_changed.wait(lock, [this] { return m_failure || !m_free.empty(); });
    throwFailure();
    const int slot = m_free.back();
    m_free.pop_back();
    return {slot, m_memory[static_cast<std::size_t>(slot)].device};
}

void TransferRing::submit(const Slot& slot, std::size_t bytes, Consumer consume)
{
    if (bytes > m_slotBytes)
        throw std::invalid_argument("transfer ring: more bytes than a slot holds");
    const Memory& memory = m_memory[static_cast<std::size_t>(slot.number)];
    m_device.beginCopy(slot.number, memory.host, memory.device, bytes);
    const std::lock_guard lock(m_mutex);
    m_work.push_back({slot.number, bytes, std::move(consume)});
    m_changed.notify_all();
    throwFailure();
}

void TransferRing::finish()
{
    std::unique_lock lock(m_mutex);
    m_changed.wait(lock, [this] { return m_work.empty() && !m_busy; });
    throwFailure();
}

void TransferRing::throwFailure() const
{
    if (m_failure)
        std::rethrow_exception(m_failure);
}

/// Copies are waited for even after a failure or at the end: a buffer must not go while the device writes to it.
void TransferRing::consumeAll()
{
    std::unique_lock lock(m_mutex);
    while (true) {
        m_changed.wait(lock, [this] { return m_stopping || !m_work.empty(); });
        if (m_work.empty())
            return;
        Work work = std::move(m_work.front());
        m_work.pop_front();
        m_busy = true;
        const bool dropped = m_failure || m_stopping;
        lock.unlock();
        std::exception_ptr failure;
        try {
            m_device.waitForCopy(work.slot);
            if (!dropped)
                work.consume(std::span(m_memory[static_cast<std::size_t>(work.slot)].host, work.bytes));
        } catch (...) {
            failure = std::current_exception();
        }
        lock.lock();
        if (!m_failure)
            m_failure = failure;
        m_busy = false;
        m_free.push_back(work.slot);
        m_changed.notify_all();
    }
}

} // namespace kvloupe::cuda
