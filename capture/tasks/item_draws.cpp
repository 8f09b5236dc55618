// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tasks/item_draws.h"

#include <algorithm>
#include <bit>
#include <numeric>

namespace kvloupe {

namespace {

constexpr std::uint64_t golden = 0x9e3779b97f4a7c15ULL;

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014): every input bit reaches every output bit.
std::uint64_t mixed(std::uint64_t value)
{
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ULL;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebULL;
    return value ^ (value >> 31);
}

std::uint64_t keyOf(std::uint64_t seed, std::string_view purpose)
{
    std::uint64_t key = mixed(seed + golden);
    for (const char c : purpose)
        key = mixed(key + golden + static_cast<unsigned char>(c));
    return key;
}

} // namespace

ItemDraws::ItemDraws(std::uint64_t seed, std::string_view purpose, std::uint64_t index)
    : m_key(mixed(keyOf(seed, purpose) + golden * (index + 1)))
{
}

std::uint64_t ItemDraws::bits()
{
    return mixed(m_key + golden * ++m_counter);
}

std::uint64_t ItemDraws::below(std::uint64_t count)
{
    return ((bits() >> 32) * count) >> 32;
}

std::int64_t ItemDraws::between(std::int64_t least, std::int64_t most)
{
    return least + static_cast<std::int64_t>(below(static_cast<std::uint64_t>(most - least + 1)));
}

std::vector<std::size_t> ItemDraws::distinct(std::size_t count, std::size_t size)
{
    std::vector<std::size_t> all(size);
    std::iota(all.begin(), all.end(), std::size_t{0});
    for (std::size_t i = 0; i < count; ++i)
        std::swap(all[i], all[i + static_cast<std::size_t>(below(size - i))]);
    all.resize(count);
    return all;
}

IndexPermutation::IndexPermutation(std::uint64_t size, std::uint64_t seed, std::string_view purpose)
    : m_size(size)
    , m_key(keyOf(seed, purpose))
    , m_halfBits((static_cast<unsigned>(std::bit_width(size - 1)) + 1) / 2)
{
}

std::uint64_t IndexPermutation::operator[](std::uint64_t index) const
{
    if (m_size <= 1)
        return index;
    const std::uint64_t mask = (std::uint64_t{1} << m_halfBits) - 1;
    do {
        std::uint64_t left = index >> m_halfBits;
        std::uint64_t right = index & mask;
        for (std::uint64_t round = 1; round <= 6; ++round) {
            const std::uint64_t next = left ^ (mixed(m_key + golden * round + right) & mask);
            left = right;
            right = next;
        }
        index = left << m_halfBits | right;
    } while (index >= m_size);
    return index;
}

} // namespace kvloupe
