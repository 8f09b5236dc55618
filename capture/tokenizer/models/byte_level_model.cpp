// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tokenizer/models/byte_level_model.h"

#include "capture/tokenizer/byte_alphabet.h"

#include <algorithm>
#include <utility>

namespace kvloupe {

ByteLevelModel::ByteLevelModel(
    std::shared_ptr<const Vocabulary> vocabulary, const std::vector<PairMerge>& merges, PairModelOptions options)
    : m_vocabulary(std::move(vocabulary))
    , m_merger(merges)
    , m_options(options)
{
    for (std::size_t byte = 0; byte < m_byteTokens.size(); ++byte)
        m_byteTokens.at(byte) = m_vocabulary->find(byteToSymbol(static_cast<unsigned char>(byte)));
}

std::int32_t ByteLevelModel::wholeEntry(std::string_view piece) const
{
    if (piece.size() > longestToken)
        return -1;
    std::string symbols;
    for (const char c : piece)
        symbols += byteToSymbol(static_cast<unsigned char>(c));
    return m_vocabulary->find(symbols);
}

void ByteLevelModel::encode(std::string_view piece, std::vector<PieceToken>& out) const
{
    const std::size_t first = out.size();
    if (const std::int32_t whole = m_options.ignoresMerges ? wholeEntry(piece) : -1; whole >= 0)
        return out.push_back({whole, 0, piece.size()});
    std::vector<PieceToken> dropped;
    bool isUnknown = false; // the last token is the unknown one
    for (std::size_t i = 0; i < piece.size(); ++i) {
        const std::int32_t id = m_byteTokens.at(static_cast<unsigned char>(piece[i]));
        if (id < 0 && isUnknown && m_options.fusesUnknown)
            out.back().end = i + 1;
        else if (id < 0 && m_options.unknownId < 0)
            dropped.push_back({-1, i, i + 1});
        else
            out.push_back({id < 0 ? m_options.unknownId : id, i, i + 1});
        isUnknown = id < 0 && m_options.unknownId >= 0;
    }
    if (out.size() > first)
        m_merger.merge(out, first);
    if (dropped.empty())
        return;
    out.insert(out.end(), dropped.begin(), dropped.end());
    std::ranges::sort(out.begin() + static_cast<std::ptrdiff_t>(first), out.end(), {}, &PieceToken::begin);
}

} // namespace kvloupe
