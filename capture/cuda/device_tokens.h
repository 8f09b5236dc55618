// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/cache/token_store.h"
#include "capture/cuda/token_edits_block.h"

#include <ATen/ATen.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

namespace kvloupe::cuda {

/// Numbers on their way to a device in one copy. Offsets are in bytes, multiples of 16.
class Upload {
public:
    template <typename T> std::int64_t add(std::span<const T> values)
    {
        const std::int64_t begin = reserve(static_cast<std::int64_t>(values.size_bytes()));
        std::memcpy(m_bytes.data() + begin, values.data(), values.size_bytes());
        return begin;
    }
    std::int64_t reserve(std::int64_t bytes);
    template <typename T> T* at(std::int64_t offset) { return reinterpret_cast<T*>(m_bytes.data() + offset); }

    /// Device memory of the size of what was added so far; offsets are offsets into it.
    at::Tensor allocate(at::Device device) const;
    /// The same stream's kernels that are launched afterwards see it.
    void copyTo(const at::Tensor& memory) const;

private:
    std::vector<std::byte> m_bytes;
};

/// The tokens of one list on a device, in 16 or 32 bits. What happens to them is noted down and done by one launch for
/// all lists of a step, before the next query looks at them.
class DeviceTokens final : public TokenStore {
public:
    struct Vectors {
        std::int64_t tokens = 0; ///< n, in the slots from 0
        at::Tensor keys; ///< [capacity, head_dim] on the device
        at::Tensor values; ///< [capacity, head_dim]
        at::Tensor frequencies; ///< of RoPE, float32 [head_dim / 2], if keys are turned; undefined if they never are
        std::vector<std::int32_t> shifts; ///< [n] that keys are turned by at first; may be empty
        std::vector<float> keyRows; ///< [n, head_dim] turned keys for policies that read them, or empty
        bool keepsRows = false;
    };
    explicit DeviceTokens(Vectors vectors);
    DeviceTokens(const DeviceTokens& other);
    DeviceTokens& operator=(const DeviceTokens&) = delete;
    std::unique_ptr<TokenStore> clone() const override { return std::make_unique<DeviceTokens>(*this); }

    std::int64_t slots() const override { return m_slots; }
    const float* keyRows() const override { return m_keepsRows ? m_rows.data() : nullptr; }
    void put(std::int64_t slot, std::span<const float> key, std::span<const float> value) override;
    void move(std::int64_t from, std::int64_t to) override;
    void shrink(std::int64_t slots) override;
    void turn(const Turn& turn) override;
    std::int64_t bytes() const override;

    std::int64_t headDim() const { return m_keys.size(1); }
    const at::Tensor& keys() const { return m_keys; } ///< [capacity, head_dim]
    const at::Tensor& values() const { return m_values; }

    /// What was noted goes into an upload; makes room for all slots.
    struct Noted {
        std::int64_t edits = 0; ///< offset in the upload
        std::int64_t numbers = 0;
        int count = 0;
    };
    Noted takeEdits(Upload& upload);
    /// As the kernel is told of them; `memory` is where the upload goes.
    template <typename Element> TokenEdits<Element> edits(const Noted& noted, const std::byte* memory) const;

private:
    void note(TokenEdit edit);
    void makeRoom();

    at::Tensor m_keys; // [capacity, head_dim]
    at::Tensor m_values;
    at::Tensor m_cameAs; // undefined if keys are never turned, and so the next two
    at::Tensor m_shifts; // int32 [capacity]
    at::Tensor m_frequencies;
    std::int64_t m_slots;
    bool m_keepsRows;
    std::vector<float> m_rows; // [slots, head_dim] or empty
    std::vector<TokenEdit> m_edits;
    std::vector<float> m_numbers; // of the edits
    int m_group = 0; // of the newest edit
    bool m_groupEnded = true;
};

} // namespace kvloupe::cuda
