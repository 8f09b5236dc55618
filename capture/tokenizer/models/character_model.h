// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/tokenizer/models/byte_level_model.h"

namespace kvloupe {

/// The tokens "<0x00>" to "<0xFF>" of a vocabulary; -1 where it has none.
std::array<std::int32_t, 256> byteFallbackTokens(const Vocabulary& vocabulary);

/// Byte-pair encoding that begins with characters, as SentencePiece's: a character without a token is written in bytes
/// if the vocabulary has them.
class CharacterModel final : public TokenModel {
public:
    CharacterModel(std::shared_ptr<const Vocabulary> vocabulary, const std::vector<PairMerge>& merges,
        PairModelOptions options, bool fallsBackToBytes);

    void encode(std::string_view piece, std::vector<PieceToken>& out) const override;
    /// Cuts between known characters that are neighbours in no entry of the vocabulary: no merge reaches across.
    void cut(std::string_view text, ByteRange range, std::vector<ByteRange>& parts) const override;

private:
    std::int32_t idOf(char32_t code) const;

    std::shared_ptr<const Vocabulary> m_vocabulary;
    PairMerger m_merger;
    PairModelOptions m_options;
    bool m_fallsBackToBytes;
    std::array<std::int32_t, 256> m_byteTokens{};
    std::vector<std::int32_t> m_characterTokens; // by code point, of the planes in use
    std::vector<bool> m_neighbours; // by hash of two code points; a collision only costs a cut
};

} // namespace kvloupe
