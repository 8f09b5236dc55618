// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/tokens/token_text.h"

#include <algorithm>
#include <string_view>

namespace kvloupe {

namespace {

bool isContinuationByte(char byte)
{
    return (static_cast<unsigned char>(byte) & 0xC0U) == 0x80U;
}

QString toText(std::string_view bytes)
{
    return QString::fromUtf8(bytes.data(), static_cast<qsizetype>(bytes.size()));
}

} // namespace

QString visibleControls(const QString& text)
{
    QString visible;
    visible.reserve(text.size());
    for (const QChar character : text) {
        const char16_t code = character.unicode();
        if (code == u'\n')
            visible += QChar(u'\u23CE');
        else if (code == u'\t')
            visible += QChar(u'\u21E5');
        else if (code < 0x20)
            visible += QChar(static_cast<char16_t>(0x2400 + code));
        else if (code == 0x7F)
            visible += QChar(u'\u2421');
        else
            visible += character;
    }
    return visible;
}

TokenText::TokenText(const SampleText& sample)
{
    const std::string_view text = sample.text;
    const auto size = static_cast<std::int64_t>(text.size());
    const auto count = static_cast<std::int64_t>(sample.offsets.size());
    m_groupOfToken.reserve(sample.offsets.size());

    std::int64_t covered = 0; // bytes that already lie in a group
    for (std::int64_t token = 0; token < count;) {
        std::int64_t begin = std::clamp(sample.offsets[static_cast<std::size_t>(token)][0], covered, size);
        std::int64_t end = std::clamp(sample.offsets[static_cast<std::size_t>(token)][1], begin, size);
        std::int64_t next = token + 1;
        TokenGroup group{token, next, {}, false};
        if (begin == end) {
            group.special = true;
            group.text = token < static_cast<std::int64_t>(sample.pieces.size())
                ? QString::fromStdString(sample.pieces[static_cast<std::size_t>(token)])
                : QString();
        } else {
            // A token that begins inside a character, or on bytes that are taken, is read together with the ones before
            // it.
            while (next < count) {
                const auto& offsets = sample.offsets[static_cast<std::size_t>(next)];
                const bool insideCharacter = end < size && isContinuationByte(text[static_cast<std::size_t>(end)]);
                if (offsets[0] >= offsets[1] || (offsets[0] >= end && !insideCharacter))
                    break;
                end = std::clamp(offsets[1], end, size);
                ++next;
            }
            while (end < size && isContinuationByte(text[static_cast<std::size_t>(end)]))
                ++end;
            begin = std::min(begin, covered);
            group.end = next;
            group.text = toText(text.substr(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin)));
            covered = end;
        }
        for (; token < next; ++token)
            m_groupOfToken.push_back(static_cast<std::int32_t>(m_groups.size()));
        m_groups.push_back(std::move(group));
    }
    if (covered < size) {
        const QString rest = toText(text.substr(static_cast<std::size_t>(covered)));
        const auto last
            = std::ranges::find_if(m_groups.rbegin(), m_groups.rend(), [](const TokenGroup& g) { return !g.special; });
        if (last != m_groups.rend())
            last->text += rest;
    }
}

int TokenText::groupOf(std::int64_t token) const
{
    return token >= 0 && token < tokenCount() ? m_groupOfToken[static_cast<std::size_t>(token)] : -1;
}

QString TokenText::label(std::int64_t token, int maximumLength) const
{
    const int group = groupOf(token);
    if (group < 0)
        return {};
    QString label = visibleControls(m_groups[static_cast<std::size_t>(group)].text);
    if (label.size() > maximumLength)
        label = label.left(maximumLength - 1) + QChar(u'\u2026');
    return label;
}

} // namespace kvloupe
