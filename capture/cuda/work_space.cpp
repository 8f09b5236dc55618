// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/cuda/work_space.h"

#include <algorithm>
#include <stdexcept>

namespace kvloupe::cuda {

WorkSpace::WorkSpace(AttentionKernels& kernels)
    : m_kernels(kernels)
{
}

WorkSpace::~WorkSpace()
{
    release();
}

bool WorkSpace::holds(std::size_t deviceBytes, std::size_t hostBytes) const
{
    return deviceBytes <= m_deviceBytes && hostBytes <= m_hostBytes;
}

void WorkSpace::reserve(std::size_t deviceBytes, std::size_t hostBytes)
{
    if (holds(deviceBytes, hostBytes))
        return;
    const std::size_t onDevice = std::max(deviceBytes, m_deviceBytes);
    const std::size_t onHost = std::max(hostBytes, m_hostBytes);
    release();
    try {
        m_device = static_cast<std::byte*>(m_kernels.allocate(onDevice));
        for (Buffer& buffer : m_buffers) {
            buffer.host = static_cast<std::byte*>(m_kernels.allocatePinned(onHost));
            if (!buffer.arrived)
                buffer.arrived = m_kernels.makeEvent();
        }
    } catch (...) {
        release();
        throw;
    }
    m_deviceBytes = onDevice;
    m_hostBytes = onHost;
}

/// Copies are waited for: memory must not go while the device writes to it.
void WorkSpace::release() noexcept
{
    for (Buffer& buffer : m_buffers) {
        try {
            wait(buffer);
        } catch (...) { // a device that has failed writes no more
            buffer.onItsWay = false;
        }
        if (buffer.host != nullptr)
            m_kernels.freePinned(buffer.host);
        buffer.host = nullptr;
    }
    if (m_device != nullptr)
        m_kernels.free(m_device);
    m_device = nullptr;
    m_deviceBytes = 0;
    m_hostBytes = 0;
}

int WorkSpace::beginFetch(const void* from, std::size_t bytes)
{
    if (bytes > m_hostBytes)
        throw std::invalid_argument("work space: more bytes than a buffer holds");
    const int number = m_next;
    m_next = 1 - m_next;
    Buffer& buffer = m_buffers[static_cast<std::size_t>(number)];
    wait(buffer);
    buffer.bytes = bytes;
    buffer.onItsWay = true;
    m_kernels.beginCopyToHost(buffer.host, from, bytes);
    buffer.arrived->record();
    return number;
}

std::span<const std::byte> WorkSpace::fetched(int buffer)
{
    Buffer& from = m_buffers[static_cast<std::size_t>(buffer)];
    wait(from);
    return {from.host, from.bytes};
}

void WorkSpace::wait(Buffer& buffer)
{
    if (buffer.onItsWay)
        buffer.arrived->wait();
    buffer.onItsWay = false;
}

} // namespace kvloupe::cuda
