// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/tokens/token_layout.h"

#include <QHash>

#include <algorithm>

namespace kvloupe {

namespace {

/// Longest stretch painted as one piece; a longer token (a run of 4,000 spaces, a base64 blob) is cut to lines of its
/// own.
constexpr qsizetype longestPiece = 96;

} // namespace

TokenLayout::TokenLayout(std::span<const TokenGroup> groups, const Measure& measure)
{
    QHash<QString, float> widths;
    m_fragments.reserve(groups.size() + groups.size() / 16);
    m_firstFragment.reserve(groups.size());
    const auto add = [&](std::int32_t group, const QString& text, bool lineFeed) {
        auto known = widths.constFind(text);
        if (known == widths.constEnd())
            known = widths.insert(text, static_cast<float>(measure(text)));
        m_fragments.push_back({group, 0.0F, *known, text, lineFeed});
    };
    const QString lineFeedSymbol(QChar(u'\u23CE'));
    for (std::size_t index = 0; index < groups.size(); ++index) {
        const auto group = static_cast<std::int32_t>(index);
        m_firstFragment.push_back(static_cast<std::int32_t>(m_fragments.size()));
        const QString& text = groups[index].text;
        for (qsizetype begin = 0; begin < text.size();) {
            if (text[begin] == u'\n') {
                add(group, lineFeedSymbol, true);
                ++begin;
                continue;
            }
            qsizetype end = text.indexOf(u'\n', begin);
            end = std::min(end < 0 ? text.size() : end, begin + longestPiece);
            if (end < text.size() && text[end].isLowSurrogate())
                --end;
            QString piece = text.mid(begin, end - begin);
            piece.remove(u'\r');
            piece.replace(u'\t', QStringLiteral("    "));
            add(group, visibleControls(piece), false);
            begin = end;
        }
        if (text.isEmpty())
            add(group, {}, false);
    }
}

void TokenLayout::layOut(double width)
{
    m_lineStart.assign(1, 0);
    m_lineOfFragment.resize(m_fragments.size());
    float x = 0.0F;
    const auto limit = static_cast<float>(width);
    const auto count = static_cast<std::int32_t>(m_fragments.size());
    for (std::int32_t index = 0; index < count; ++index) {
        TokenFragment& fragment = m_fragments[static_cast<std::size_t>(index)];
        const bool lineIsEmpty = m_lineStart.back() == index;
        // The symbol of a line feed may hang over the edge: it must not make a line of its own.
        if (!lineIsEmpty && !fragment.lineFeed && x + fragment.width > limit) {
            m_lineStart.push_back(index);
            x = 0.0F;
        }
        fragment.x = x;
        x += fragment.width;
        m_lineOfFragment[static_cast<std::size_t>(index)] = static_cast<std::int32_t>(m_lineStart.size()) - 1;
        if (fragment.lineFeed && index + 1 < count) {
            m_lineStart.push_back(index + 1);
            x = 0.0F;
        }
    }
    if (count == 0)
        m_lineStart.clear();
    else
        m_lineStart.push_back(count);
}

std::span<const TokenFragment> TokenLayout::line(int line) const
{
    if (line < 0 || line >= lineCount())
        return {};
    const auto begin = static_cast<std::size_t>(m_lineStart[static_cast<std::size_t>(line)]);
    const auto end = static_cast<std::size_t>(m_lineStart[static_cast<std::size_t>(line) + 1]);
    return std::span(m_fragments).subspan(begin, end - begin);
}

int TokenLayout::firstFragmentOf(int group) const
{
    return group >= 0 && group < static_cast<int>(m_firstFragment.size())
        ? m_firstFragment[static_cast<std::size_t>(group)]
        : -1;
}

int TokenLayout::lineOf(int group) const
{
    const int fragment = firstFragmentOf(group);
    return fragment >= 0 && fragment < static_cast<int>(m_lineOfFragment.size())
        ? m_lineOfFragment[static_cast<std::size_t>(fragment)]
        : -1;
}

const TokenFragment* TokenLayout::fragmentAt(int lineNumber, double x) const
{
    const std::span<const TokenFragment> fragments = line(lineNumber);
    if (fragments.empty())
        return nullptr;
    const auto after = std::ranges::upper_bound(fragments, static_cast<float>(x), {}, &TokenFragment::x);
    return after == fragments.begin() ? &fragments.front() : &*std::prev(after);
}

} // namespace kvloupe
