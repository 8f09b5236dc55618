// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tokenizer/normalizers/precompiled_normalizer.h"

#include "capture/tokenizer/tokenizer_error.h"
#include "capture/tokenizer/utf8_text.h"

#include <fmt/format.h>
#include <utf8proc.h>

#include <algorithm>
#include <cstring>

namespace kvloupe {

namespace {

using Characters = std::vector<NormalizedText::Character>;

// darts-clone's units.
bool hasLeaf(std::uint32_t unit)
{
    return (unit >> 8 & 1) != 0;
}
std::uint32_t labelOf(std::uint32_t unit)
{
    return unit & (1u << 31 | 0xff);
}
std::uint32_t offsetOf(std::uint32_t unit)
{
    return unit >> 10 << ((unit & 1u << 9) >> 6);
}

std::size_t clusterLength(std::string_view text)
{
    Utf8Character before = firstCharacter(text);
    std::size_t length = before.length;
    utf8proc_int32_t state = 0;
    while (length < text.size()) {
        const Utf8Character next = firstCharacter(text.substr(length));
        if (utf8proc_grapheme_break_stateful(
                static_cast<utf8proc_int32_t>(before.code), static_cast<utf8proc_int32_t>(next.code), &state))
            break;
        before = next;
        length += next.length;
    }
    return length;
}

Characters charactersOf(std::string_view text)
{
    Characters characters;
    for (; !text.empty(); text.remove_prefix(characterLength(text)))
        characters.push_back({firstCharacter(text).code, 0});
    return characters;
}

/// Puts `characters` in the place of `count` characters.
void append(Characters& out, Characters characters, std::size_t count)
{
    const std::size_t added = characters.size() > count ? characters.size() - count : 0;
    const std::size_t removed = count > characters.size() ? count - characters.size() : 0;
    for (std::size_t i = characters.size() - added; i < characters.size(); ++i)
        characters[i].change = 1;
    out.insert(out.end(), characters.begin(), characters.end());
    if (removed > 0 && !out.empty())
        out.back().change -= static_cast<int>(removed);
}

} // namespace

PrecompiledNormalizer::PrecompiledNormalizer(std::string_view charsmap, const std::string& where)
{
    std::uint32_t bytes = 0;
    if (charsmap.size() >= sizeof bytes)
        std::memcpy(&bytes, charsmap.data(), sizeof bytes);
    if (bytes < sizeof(std::uint32_t) || bytes % sizeof(std::uint32_t) != 0 || bytes > charsmap.size() - sizeof bytes)
        throw TokenizerError(
            fmt::format("{}: a trie of {} bytes in a character map of {}", where, bytes, charsmap.size()));
    m_trie.resize(bytes / sizeof(std::uint32_t));
    std::memcpy(m_trie.data(), charsmap.data() + sizeof bytes, bytes);
    m_replacements = charsmap.substr(sizeof bytes + bytes);
    if (firstInvalidUtf8(m_replacements) != m_replacements.size())
        throw TokenizerError(fmt::format("{}: the replacements of the character map are not UTF-8", where));
}

std::optional<std::string_view> PrecompiledNormalizer::replacementOf(std::string_view part) const
{
    std::size_t node = offsetOf(m_trie.front());
    for (const char c : part) {
        const auto byte = static_cast<unsigned char>(c);
        node ^= byte;
        if (byte == 0 || node >= m_trie.size() || labelOf(m_trie[node]) != byte)
            return std::nullopt;
        const bool isEnd = hasLeaf(m_trie[node]);
        node ^= offsetOf(m_trie[node]);
        if (!isEnd)
            continue;
        // The shortest entry that begins the part counts, as in Hugging Face's reader.
        const std::size_t begin = node < m_trie.size() ? m_trie[node] & 0x7fffffffu : m_replacements.size();
        if (begin >= m_replacements.size() || (static_cast<unsigned char>(m_replacements[begin]) & 0xc0) == 0x80)
            return std::nullopt;
        const std::string_view rest = std::string_view(m_replacements).substr(begin);
        return rest.substr(0, rest.find('\0'));
    }
    return std::nullopt;
}

void PrecompiledNormalizer::apply(NormalizedText& text) const
{
    constexpr std::size_t longestCluster = 6; // bytes; longer ones are looked up by character
    const std::string_view from = text.text();
    Characters characters;
    bool isChanged = false;
    for (std::size_t at = 0; at < from.size();) {
        const std::string_view cluster = from.substr(at, clusterLength(from.substr(at)));
        at += cluster.size();
        const auto whole = cluster.size() < longestCluster ? replacementOf(cluster) : std::nullopt;
        if (whole) {
            append(characters, charactersOf(*whole), charactersOf(cluster).size());
            isChanged = true;
            continue;
        }
        for (std::string_view rest = cluster; !rest.empty(); rest.remove_prefix(characterLength(rest))) {
            const std::string_view one = rest.substr(0, characterLength(rest));
            const auto replacement = replacementOf(one);
            append(characters, charactersOf(replacement.value_or(one)), 1);
            isChanged = isChanged || replacement;
        }
    }
    if (!isChanged)
        return;
    NormalizedText::Rewriter rewriter(text);
    rewriter.replace(0, from.size(), characters);
    text = rewriter.take();
}

} // namespace kvloupe
