// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/cache/decode_kernels.h"
#include "capture/cache/token_store.h"
#include "core/attention/attention_rows.h"

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace kvloupe {

/// The tokens of one list in host memory, in pages. Grows by pages, so that nothing is moved and at most 15 slots are
/// idle at the end.
///
/// Memory per page: 32 x head_dim floats.
class TokenPages final : public TokenStore {
public:
    static_assert(pageTokens == decode_kernels::pageTokens);

    /// With `keepsRows` keys are also kept as rows: half as much memory again.
    TokenPages(int headDim, bool keepsRows);
    TokenPages(const TokenPages& other);
    TokenPages& operator=(const TokenPages&) = delete;
    std::unique_ptr<TokenStore> clone() const override { return std::make_unique<TokenPages>(*this); }

    int headDim() const { return m_headDim; }
    std::int64_t slots() const override { return std::ssize(m_pages) * pageTokens; }
    std::span<const float* const> pages() const { return m_pointers; }
    const float* keyRows() const override { return m_rows.empty() ? nullptr : m_rows.data(); }

    void put(std::int64_t slot, std::span<const float> key, std::span<const float> value) override;
    void move(std::int64_t from, std::int64_t to) override;
    void shrink(std::int64_t slots) override;
    void turn(const Turn& turn) override;

    std::vector<float> key(std::int64_t slot) const; ///< [head_dim]
    std::vector<float> value(std::int64_t slot) const; ///< [head_dim]
    std::int64_t bytes() const override;

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
