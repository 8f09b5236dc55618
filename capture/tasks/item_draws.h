// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace kvloupe {

/// Random numbers of one item: a hash of (seed, purpose, index, counter). An item's draws depend on no other item's.
class ItemDraws {
public:
    ItemDraws(std::uint64_t seed, std::string_view purpose, std::uint64_t index);

    std::uint64_t bits();
    /// Uniform in [0, count); count is 1 .. 2^32.
    std::uint64_t below(std::uint64_t count);
    /// Uniform in [least, most].
    std::int64_t between(std::int64_t least, std::int64_t most);
    /// `values` is not empty.
    template <typename Values> const auto& pick(const Values& values)
    {
        return values[static_cast<std::size_t>(below(values.size()))];
    }
    /// Moves the values into a random order.
    template <typename Values> void shuffle(Values& values)
    {
        for (std::size_t i = values.size(); i > 1; --i)
            std::swap(values[i - 1], values[static_cast<std::size_t>(below(i))]);
    }
    /// `count` different numbers below `size`, in random order; count <= size.
    std::vector<std::size_t> distinct(std::size_t count, std::size_t size);

private:
    std::uint64_t m_key;
    std::uint64_t m_counter = 0;
};

/// A random order of [0, size) that is never written down: number i of it costs O(1). A Feistel network on the smallest
/// square power of two that holds `size`, walked until it lands inside.
class IndexPermutation {
public:
    /// size >= 1.
    IndexPermutation(std::uint64_t size, std::uint64_t seed, std::string_view purpose);

    /// index < size.
    std::uint64_t operator[](std::uint64_t index) const;
    std::uint64_t size() const { return m_size; }

private:
    std::uint64_t m_size;
    std::uint64_t m_key;
    unsigned m_halfBits;
};

} // namespace kvloupe
