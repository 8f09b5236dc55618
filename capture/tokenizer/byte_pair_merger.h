// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace kvloupe {

/// A token of a piece: its id and the bytes [begin, end) of the piece it stands for.
struct PieceToken {
    std::int32_t id = 0;
    std::size_t begin = 0;
    std::size_t end = 0;
};

/// Byte-pair merging (Sennrich et al. 2016, arXiv 1508.07909): the pair with the best rank is merged first, the
/// leftmost of equals, until no pair is left that can be.
class BytePairMerger {
public:
    struct Merge {
        std::int32_t left = 0;
        std::int32_t right = 0;
        std::int32_t result = 0;
    };

    /// `merges` in order of rank, best first; of a pair listed twice the later rank counts, as in Hugging Face's
    /// tokenizers. `byteTokens`: the token of each byte, -1 where the vocabulary has none.
    BytePairMerger(const std::vector<Merge>& merges, const std::array<std::int32_t, 256>& byteTokens);

    /// Appends the tokens of a piece. O(n log n) for n bytes. A byte without a token becomes a PieceToken with id -1,
    /// across which its neighbours do merge, as in Hugging Face's tokenizers. Const and thread-safe.
    void encode(std::string_view piece, std::vector<PieceToken>& out) const;

private:
    struct Ranked {
        std::int32_t rank = 0;
        std::int32_t result = 0;
    };
    const Ranked* find(std::int32_t left, std::int32_t right) const;

    std::unordered_map<std::uint64_t, Ranked> m_merges;
    std::array<std::int32_t, 256> m_byteTokens;
};

} // namespace kvloupe
