// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tokenizer/normalized_text.h"

#include "capture/tokenizer/tokenizer_error.h"
#include "capture/tokenizer/utf8_text.h"

#include <fmt/format.h>

#include <algorithm>

namespace kvloupe {

NormalizedText::Origin NormalizedText::origin(std::size_t begin, std::size_t end) const
{
    if (!m_changed)
        return {m_base + static_cast<std::int64_t>(begin), m_base + static_cast<std::int64_t>(end)};
    return {m_base + m_origins[begin].begin, m_base + m_origins[end - 1].end};
}

NormalizedText NormalizedText::slice(std::size_t begin, std::size_t end) const
{
    if (!m_changed)
        return NormalizedText(m_original.substr(begin, end - begin), m_base + static_cast<std::int64_t>(begin));
    NormalizedText result(m_original, m_base);
    result.m_changed = true;
    result.m_text = m_text.substr(begin, end - begin);
    result.m_origins.assign(
        m_origins.begin() + static_cast<std::ptrdiff_t>(begin), m_origins.begin() + static_cast<std::ptrdiff_t>(end));
    return result;
}

NormalizedText::Rewriter::Rewriter(const NormalizedText& from)
    : m_from(from)
{
    m_text.reserve(from.text().size() + from.text().size() / 4);
    m_origins.reserve(m_text.capacity());
}

void NormalizedText::Rewriter::keep(std::size_t begin, std::size_t end)
{
    m_text += m_from.text().substr(begin, end - begin);
    if (m_from.m_changed)
        m_origins.insert(m_origins.end(), m_from.m_origins.begin() + static_cast<std::ptrdiff_t>(begin),
            m_from.m_origins.begin() + static_cast<std::ptrdiff_t>(end));
    else
        for (std::size_t i = begin; i < end; ++i)
            m_origins.push_back({static_cast<std::uint32_t>(i), static_cast<std::uint32_t>(i + 1)});
}

void NormalizedText::Rewriter::put(std::string_view text, Origin origin)
{
    // Unicode's longest decomposition grows a character eleven times; steps of a file that grow a text without end are
    // not worth the memory.
    constexpr std::size_t growth = 64;
    constexpr std::size_t allowance = 65536;
    if (m_text.size() + text.size() > growth * m_from.m_original.size() + allowance)
        throw TokenizerError(fmt::format("the tokenizer's normalisation makes more than {} bytes of a text of {}",
            growth * m_from.m_original.size() + allowance, m_from.m_original.size()));
    m_text += text;
    m_origins.insert(m_origins.end(), text.size(),
        {static_cast<std::uint32_t>(origin[0] - m_from.m_base), static_cast<std::uint32_t>(origin[1] - m_from.m_base)});
}

void NormalizedText::Rewriter::replace(std::size_t begin, std::size_t end, std::span<const Character> characters)
{
    const std::string_view text = m_from.text();
    const auto lengthAt = [&](std::size_t at) { return at < end ? characterLength(text.substr(at, end - at)) : 0; };
    std::size_t at = begin;
    for (const Character& character : characters) {
        const std::size_t length = character.change > 0 ? 0 : lengthAt(at);
        // Behind everything, and before anything: the nearest byte there is.
        const std::size_t first = length > 0 ? at : std::max(at, std::size_t{1}) - 1;
        put(utf8Of(character.code), m_from.origin(first, length > 0 ? at + length : first + 1));
        at += length;
        for (int removed = character.change; removed < 0; ++removed)
            at += lengthAt(at);
    }
}

NormalizedText NormalizedText::Rewriter::take()
{
    NormalizedText result(m_from.m_original, m_from.m_base);
    result.m_changed = true;
    result.m_text = std::move(m_text);
    result.m_origins = std::move(m_origins);
    return result;
}

} // namespace kvloupe
