// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/tokenizer/models/pair_merger.h"
#include "capture/tokenizer/vocabulary.h"

#include <array>
#include <memory>

namespace kvloupe {

/// What the pair models share.
struct PairModelOptions {
    bool ignoresMerges = false; ///< a piece that is a vocabulary entry is never split
    std::int32_t unknownId = -1; ///< the token of what has none; -1: it is left out
    bool fusesUnknown = false; ///< neighbours without a token become one unknown token
};

/// Byte-pair encoding that begins with bytes, written as GPT-2's stand-ins in the vocabulary.
class ByteLevelModel final : public TokenModel {
public:
    ByteLevelModel(
        std::shared_ptr<const Vocabulary> vocabulary, const std::vector<PairMerge>& merges, PairModelOptions options);

    /// A byte without a token becomes a PieceToken with id -1 (or the unknown token), across which its neighbours do
    /// merge if it is left out, as in Hugging Face's tokenizers.
    void encode(std::string_view piece, std::vector<PieceToken>& out) const override;

private:
    std::int32_t wholeEntry(std::string_view piece) const;

    std::shared_ptr<const Vocabulary> m_vocabulary;
    PairMerger m_merger;
    PairModelOptions m_options;
    std::array<std::int32_t, 256> m_byteTokens{};
};

} // namespace kvloupe
