// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tokenizer/models/character_model.h"

#include "capture/tokenizer/utf8_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace kvloupe {

namespace {

constexpr unsigned neighbourBits = 22;

std::size_t neighbourHash(char32_t left, char32_t right)
{
    const std::uint64_t pair = static_cast<std::uint64_t>(left) << 21 | right;
    return static_cast<std::size_t>(pair * 0x9e3779b97f4a7c15u >> (64 - neighbourBits));
}

} // namespace

std::array<std::int32_t, 256> byteFallbackTokens(const Vocabulary& vocabulary)
{
    std::array<std::int32_t, 256> tokens{};
    for (std::size_t byte = 0; byte < tokens.size(); ++byte)
        tokens.at(byte) = vocabulary.find(fmt::format("<0x{:02X}>", byte));
    return tokens;
}

CharacterModel::CharacterModel(std::shared_ptr<const Vocabulary> vocabulary, const std::vector<PairMerge>& merges,
    PairModelOptions options, bool fallsBackToBytes)
    : m_vocabulary(std::move(vocabulary))
    , m_merger(merges)
    , m_options(options)
    , m_fallsBackToBytes(fallsBackToBytes)
    , m_byteTokens(byteFallbackTokens(*m_vocabulary))
    , m_neighbours(std::size_t{1} << neighbourBits)
{
    for (std::size_t id = 0; id < m_vocabulary->entries().size(); ++id) {
        std::string_view entry = m_vocabulary->entries()[id];
        if (entry.empty() || firstInvalidUtf8(entry) != entry.size())
            continue;
        Utf8Character left = firstCharacter(entry);
        if (left.length == entry.size()) {
            if (left.code >= m_characterTokens.size())
                m_characterTokens.resize(left.code + 1, -1);
            m_characterTokens[left.code] = static_cast<std::int32_t>(id);
        }
        for (entry.remove_prefix(left.length); !entry.empty(); entry.remove_prefix(left.length)) {
            const Utf8Character right = firstCharacter(entry);
            m_neighbours[neighbourHash(left.code, right.code)] = true;
            left = right;
        }
    }
}

std::int32_t CharacterModel::idOf(char32_t code) const
{
    return code < m_characterTokens.size() ? m_characterTokens[code] : -1;
}

void CharacterModel::cut(std::string_view text, ByteRange range, std::vector<ByteRange>& parts) const
{
    if (m_options.ignoresMerges)
        return parts.push_back(range);
    std::size_t begin = range.begin;
    Utf8Character left = firstCharacter(text.substr(begin));
    for (std::size_t at = begin + left.length; at < range.end;) {
        const Utf8Character right = firstCharacter(text.substr(at));
        if (!m_neighbours[neighbourHash(left.code, right.code)] && idOf(left.code) >= 0 && idOf(right.code) >= 0) {
            parts.push_back({begin, at});
            begin = at;
        }
        left = right;
        at += right.length;
    }
    parts.push_back({begin, range.end});
}

void CharacterModel::encode(std::string_view piece, std::vector<PieceToken>& out) const
{
    if (m_options.ignoresMerges)
        if (const std::int32_t whole = m_vocabulary->find(piece); whole >= 0)
            return out.push_back({whole, 0, piece.size()});
    const std::size_t first = out.size();
    std::vector<PieceToken> dropped;
    bool isUnknown = false; // the last token is the unknown one
    const auto putUnknown = [&](std::size_t begin, std::size_t end) {
        if (m_options.unknownId < 0)
            return dropped.push_back({-1, begin, end});
        if (isUnknown && m_options.fusesUnknown)
            out.back().end = end;
        else
            out.push_back({m_options.unknownId, begin, end});
        isUnknown = true;
    };
    for (std::size_t at = 0; at < piece.size();) {
        const auto [code, length] = firstCharacter(piece.substr(at));
        const std::string_view bytes = piece.substr(at, length);
        const auto hasToken = [&](char c) { return m_byteTokens.at(static_cast<unsigned char>(c)) >= 0; };
        if (const std::int32_t id = idOf(code); id >= 0) {
            out.push_back({id, at, at + length});
            isUnknown = false;
        } else if (m_fallsBackToBytes && std::ranges::all_of(bytes, hasToken)) {
            for (std::size_t i = at; i < at + length; ++i)
                out.push_back({m_byteTokens.at(static_cast<unsigned char>(piece[i])), i, i + 1});
            isUnknown = false;
        } else {
            putUnknown(at, at + length);
        }
        at += length;
    }
    if (out.size() > first)
        m_merger.merge(out, first);
    if (dropped.empty())
        return;
    out.insert(out.end(), dropped.begin(), dropped.end());
    std::ranges::sort(out.begin() + static_cast<std::ptrdiff_t>(first), out.end(), {}, &PieceToken::begin);
}

} // namespace kvloupe
