// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tokenizer/added_tokens.h"

#include "capture/tokenizer/utf8_text.h"

#include <algorithm>
#include <functional>

namespace kvloupe {

namespace {

/// Bytes of the character at the front if it is white space, else 0.
std::size_t spaceLength(std::string_view text)
{
    const Utf8Character first = firstCharacter(text);
    return isWhiteSpace(first.code) ? first.length : 0;
}

std::size_t skipSpace(std::string_view text, std::size_t at)
{
    while (const std::size_t length = at < text.size() ? spaceLength(text.substr(at)) : 0)
        at += length;
    return at;
}

std::size_t skipSpaceBack(std::string_view text, std::size_t at, std::size_t stop)
{
    while (at > stop) {
        const std::size_t begin = previousCharacter(text, at);
        if (spaceLength(text.substr(begin, at - begin)) != at - begin)
            break;
        at = begin;
    }
    return at;
}

/// Whether no word goes on before or behind the range.
bool standsAlone(std::string_view text, ByteRange range)
{
    const std::size_t before = range.begin == 0 ? 0 : previousCharacter(text, range.begin);
    return (range.begin == 0 || !isWordCharacter(firstCharacter(text.substr(before)).code))
        && (range.end == text.size() || !isWordCharacter(firstCharacter(text.substr(range.end)).code));
}

} // namespace

AddedTokenMatcher::AddedTokenMatcher(std::vector<AddedToken> tokens)
    : m_tokens(std::move(tokens))
{
    for (const AddedToken& token : m_tokens) {
        m_byContent[token.content] = &token;
        m_lengths.at(static_cast<unsigned char>(token.content.front())).push_back(token.content.size());
    }
    for (auto& lengths : m_lengths) {
        std::ranges::sort(lengths, std::greater<>());
        lengths.erase(std::unique(lengths.begin(), lengths.end()), lengths.end());
    }
}

const AddedToken* AddedTokenMatcher::longestAt(std::string_view rest) const
{
    for (const std::size_t length : m_lengths.at(static_cast<unsigned char>(rest.front()))) {
        if (length > rest.size())
            continue;
        if (const auto found = m_byContent.find(rest.substr(0, length)); found != m_byContent.end())
            return found->second;
    }
    return nullptr;
}

std::vector<AddedTokenMatcher::Match> AddedTokenMatcher::find(std::string_view text, bool parseSpecial) const
{
    std::vector<Match> matches;
    std::size_t free = 0; // where the last match ended
    for (std::size_t at = 0; at < text.size();) {
        const AddedToken* const token = longestAt(text.substr(at));
        if (token == nullptr) {
            ++at;
            continue;
        }
        const std::size_t end = at + token->content.size();
        if ((parseSpecial || !token->special) && (!token->singleWord || standsAlone(text, {at, end}))) {
            const ByteRange range{
                token->leftStrip ? skipSpaceBack(text, at, free) : at, token->rightStrip ? skipSpace(text, end) : end};
            matches.push_back({range, token->id});
            free = range.end;
        }
        at = std::max(end, free);
    }
    return matches;
}

} // namespace kvloupe
