// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/tokenizer/models/token_model.h"
#include "capture/tokenizer/vocabulary.h"

#include <array>
#include <memory>

namespace kvloupe {

/// The unigram language model (Kudo 2018, arXiv 1804.10959): of all ways to cut a piece into entries the one with the
/// greatest sum of log probabilities, by Viterbi's algorithm, with the ties of Hugging Face's tokenizers.
class UnigramModel final : public TokenModel {
public:
    /// `scores[id]` belongs to entry `id`; `unknownId` is one of them, or -1. Entries are not empty.
    UnigramModel(std::shared_ptr<const Vocabulary> vocabulary, std::vector<double> scores, std::int32_t unknownId,
        bool fallsBackToBytes);

    /// Neighbouring characters without an entry become one unknown token, or their bytes. O(bytes x longest entry).
    void encode(std::string_view piece, std::vector<PieceToken>& out) const override;

private:
    /// A prefix of entries; its children lie side by side, in the order of their bytes.
    struct Node {
        std::int32_t id = -1;
        std::uint32_t firstChild = 0;
        std::uint16_t children = 0;
        unsigned char byte = 0;
    };
    const Node* child(const Node& node, unsigned char byte) const;
    void build();
    void putUnknown(std::string_view piece, ByteRange range, std::vector<PieceToken>& out) const;

    std::shared_ptr<const Vocabulary> m_vocabulary;
    std::vector<double> m_scores;
    std::int32_t m_unknownId;
    bool m_fallsBackToBytes;
    double m_unknownScore = 0;
    std::array<std::int32_t, 256> m_byteTokens{};
    std::vector<Node> m_nodes; // the root first
    std::array<std::uint32_t, 256> m_rootChildren{}; // by byte; 0: none
};

} // namespace kvloupe
