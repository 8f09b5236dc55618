// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/cache/decode_kernels.h"
#include "core/attention/attention_rows.h"

#include <cstdint>
#include <span>
#include <vector>

namespace kvloupe {

/// Keys and values of the tokens of one list, each in a slot, in pages of 16 slots. Grows by pages, so that nothing is
/// moved and at most 15 slots are idle at the end. Which slot holds which token is the business of a SlotMap.
///
/// Memory per page: 32 x head_dim floats.
class TokenPages {
public:
    static constexpr std::int64_t pageTokens = decode_kernels::pageTokens;

    /// With `keepsRows` keys are also kept as rows [slots, head_dim], for decode policies that read them: half as much
    /// memory again.
    TokenPages(int headDim, bool keepsRows);
    TokenPages(const TokenPages& other);
    TokenPages& operator=(const TokenPages& other);
    TokenPages(TokenPages&&) noexcept = default;
    TokenPages& operator=(TokenPages&&) noexcept = default;
    ~TokenPages() = default;

    int headDim() const { return m_headDim; }
    std::int64_t slots() const { return std::ssize(m_pages) * pageTokens; }
    std::span<const float* const> pages() const { return m_pointers; }
    const float* keyRows() const { return m_rows.empty() ? nullptr : m_rows.data(); }

    /// `key`, `value`: [head_dim]. The slot may be one page further than there are any.
    void put(std::int64_t slot, std::span<const float> key, std::span<const float> value);
    void move(std::int64_t from, std::int64_t to);
    /// Frees the pages after the first `slots` slots.
    void shrink(std::int64_t slots);

    std::vector<float> key(std::int64_t slot) const; ///< [head_dim]
    std::vector<float> value(std::int64_t slot) const; ///< [head_dim]
    /// Turns the chosen slots of a page by one angle per pair of channels, see decode_kernels::turnKeys.
    void turn(
        std::int64_t page, std::span<const float> chosen, std::span<const float> cosines, std::span<const float> sines);

    /// Bytes held.
    std::int64_t bytes() const;

private:
    float* keyLane(std::int64_t slot);
    const float* keyLane(std::int64_t slot) const;
    float* valueRow(std::int64_t slot);
    void addPage();

    int m_headDim;
    bool m_keepsRows;
    std::vector<AlignedFloats> m_pages; // each (head_dim, 16) keys, (16, head_dim) values
    std::vector<const float*> m_pointers;
    std::vector<float> m_rows; // (slots, head_dim) or empty
};

} // namespace kvloupe
