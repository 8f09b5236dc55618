// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/metrics/position_set.h"

#include <bit>
#include <cstddef>

namespace kvloupe {

PositionSet::PositionSet(std::int64_t tokens)
    : m_words(static_cast<std::size_t>((tokens + 63) / 64), 0)
{
}

PositionSet::PositionSet(std::span<const std::int32_t> positions, std::int64_t tokens)
    : PositionSet(tokens)
{
    for (const std::int32_t position : positions)
        m_words[static_cast<std::size_t>(position) / 64] |= std::uint64_t{1} << (position % 64);
}

std::int64_t PositionSet::count() const
{
    std::int64_t count = 0;
    for (const std::uint64_t word : m_words)
        count += std::popcount(word);
    return count;
}

void PositionSet::unite(const PositionSet& other)
{
    for (std::size_t word = 0; word < m_words.size(); ++word)
        m_words[word] |= other.m_words[word];
}

std::int64_t commonPositions(const PositionSet& a, const PositionSet& b)
{
    std::int64_t count = 0;
    for (std::size_t word = 0; word < a.m_words.size(); ++word)
        count += std::popcount(a.m_words[word] & b.m_words[word]);
    return count;
}

double jaccard(const PositionSet& a, const PositionSet& b)
{
    const std::int64_t common = commonPositions(a, b);
    const std::int64_t either = a.count() + b.count() - common;
    return either == 0 ? 1.0 : static_cast<double>(common) / static_cast<double>(either);
}

} // namespace kvloupe
