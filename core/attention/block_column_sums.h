// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace kvloupe {

/// Attention that every key of a layer received, head by head, from blocks of rows that come in any order and from any
/// thread. What a recording stores and what a live cache decides by: the same bits for the same blocks.
class BlockColumnSums {
public:
    BlockColumnSums(int heads, std::int64_t tokens);
    ~BlockColumnSums();
    BlockColumnSums(BlockColumnSums&& other) noexcept;
    BlockColumnSums& operator=(BlockColumnSums&& other) noexcept;

    /// Back to no rows at all.
    void clear();
    /// Rows [queryBegin, +rows) of one head: probabilities [rows, stride], 0 after each row's own token.
    void add(int head, std::int64_t queryBegin, std::int64_t rows, std::span<const float> probabilities,
        std::int64_t stride);

    std::int64_t rowsAdded(int head) const;
    std::vector<float> sums() const; ///< [heads, tokens]

private:
    struct Head;

    std::int64_t m_tokens;
    std::vector<std::unique_ptr<Head>> m_heads;
};

} // namespace kvloupe
