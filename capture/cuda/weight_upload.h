// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/cuda/attention_kernels.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

namespace kvloupe::cuda {

/// Stored numbers to the device, where they are dequantised: while one piece is copied and dequantised, the next one is
/// read into the other of two pinned buffers.
class WeightUpload {
public:
    /// Called with the index of the first number of a piece that is infinite or NaN; throws.
    using Refuse = std::function<void(std::int64_t index)>;

    /// Buffers take at least `pieceBytes`, from the first piece on. `kernels` outlives this object.
    WeightUpload(AttentionKernels& kernels, std::size_t pieceBytes);
    ~WeightUpload();
    WeightUpload(const WeightUpload&) = delete;
    WeightUpload& operator=(const WeightUpload&) = delete;

    /// `values` numbers (fewer than 2^32, whole blocks) to `out` on the device, which may be asked for before they are
    /// there. `read` fills a piece of pinned memory with `bytes` bytes of blocks. Throws what `refuse` of this piece or
    /// of one before it throws.
    template <typename Element>
    void send(DataType type, std::size_t bytes, std::int64_t values, Element* out,
        const std::function<void(std::span<std::byte>)>& read, Refuse refuse);
    /// Waits for all pieces.
    void finish();

private:
    struct Stage {
        std::byte* host = nullptr; ///< what a check begins with, then blocks
        std::byte* device = nullptr;
        std::uint32_t* found = nullptr; ///< on the host: index of the first number that is not finite
        std::size_t bytes = 0;
        bool onItsWay = false;
        Refuse refuse = {};
        std::unique_ptr<DeviceEvent> done = {};
    };

    void reserve(Stage& stage, std::size_t bytes);
    void finish(Stage& stage);
    void release() noexcept;

    AttentionKernels& m_kernels;
    std::size_t m_pieceBytes;
    std::array<Stage, 2> m_stages;
    std::size_t m_next = 0;
};

} // namespace kvloupe::cuda
