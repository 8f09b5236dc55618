// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/cuda/attention_kernels.h"

#include <array>
#include <cstddef>
#include <memory>
#include <span>

namespace kvloupe::cuda {

/// Memory that launches work in, kept while it is large enough: one piece on the device, and two pinned ones on the
/// host for what comes back, so that one can be read while the other is on its way.
class WorkSpace {
public:
    /// `kernels` outlives this object.
    explicit WorkSpace(AttentionKernels& kernels);
    ~WorkSpace();
    WorkSpace(const WorkSpace&) = delete;
    WorkSpace& operator=(const WorkSpace&) = delete;

    bool holds(std::size_t deviceBytes, std::size_t hostBytes) const;
    /// Makes it hold so much. Where that takes other memory than before, what was fetched is gone. DeviceMemoryError
    /// leaves nothing.
    void reserve(std::size_t deviceBytes, std::size_t hostBytes);
    void release() noexcept;

    std::byte* device() const { return m_device; }
    /// Begins to copy what launches before this call have left at `from` into a buffer of the host, whose number it
    /// gives. The buffers take turns: what was fetched two calls ago is gone.
    int beginFetch(const void* from, std::size_t bytes);
    /// Waits for it.
    std::span<const std::byte> fetched(int buffer);

private:
    struct Buffer {
        std::byte* host = nullptr;
        std::size_t bytes = 0; ///< fetched
        bool onItsWay = false;
        std::unique_ptr<DeviceEvent> arrived = {};
    };

    void wait(Buffer& buffer);

    AttentionKernels& m_kernels;
    std::byte* m_device = nullptr;
    std::size_t m_deviceBytes = 0;
    std::size_t m_hostBytes = 0; // of each buffer
    std::array<Buffer, 2> m_buffers;
    int m_next = 0;
};

} // namespace kvloupe::cuda
