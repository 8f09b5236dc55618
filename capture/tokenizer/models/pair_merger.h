// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/tokenizer/models/token_model.h"

#include <cstdint>
#include <vector>

namespace kvloupe {

/// A merge of two neighbouring tokens into one; a lower rank comes first.
struct PairMerge {
    std::int32_t left = 0;
    std::int32_t right = 0;
    std::int32_t result = 0;
    std::int32_t rank = 0;
};

/// Byte-pair merging (Sennrich et al. 2016, arXiv 1508.07909): the pair with the lowest rank is merged first, the
/// leftmost of equals, until no pair is left that can be. Const and thread-safe.
class PairMerger {
public:
    /// Of a pair listed twice the later entry counts, as in Hugging Face's tokenizers.
    explicit PairMerger(const std::vector<PairMerge>& merges);

    /// Merges the tokens from position `first` on, in place; they are neighbours whatever bytes lie between them.
    /// O(n log n) for n tokens.
    void merge(std::vector<PieceToken>& tokens, std::size_t first) const;

private:
    struct Entry {
        std::uint64_t pair = unused;
        std::int32_t rank = 0;
        std::int32_t result = 0;
    };
    static constexpr std::uint64_t unused = ~std::uint64_t{0};

    Entry* slotOf(std::uint64_t pair);
    const Entry* find(std::int32_t left, std::int32_t right) const;
    void mergeShort(std::vector<PieceToken>& tokens, std::size_t first) const;
    void mergeLong(std::vector<PieceToken>& tokens, std::size_t first) const;

    std::vector<Entry> m_table; // open addressing; a power of two entries, at most half of them in use
};

} // namespace kvloupe
