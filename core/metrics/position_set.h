// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace kvloupe {

/// A set of positions as one bit each: what overlaps of many kept sets are counted with.
class PositionSet {
public:
    explicit PositionSet(std::int64_t tokens);
    /// `positions` lie in [0, tokens).
    PositionSet(std::span<const std::int32_t> positions, std::int64_t tokens);

    std::int64_t count() const;
    void unite(const PositionSet& other);

    friend std::int64_t commonPositions(const PositionSet& a, const PositionSet& b);

private:
    std::vector<std::uint64_t> m_words;
};

/// Positions in both, of sets over the same number of tokens.
std::int64_t commonPositions(const PositionSet& a, const PositionSet& b);

/// |a and b| / |a or b|, in [0, 1]; 1 for two empty sets.
double jaccard(const PositionSet& a, const PositionSet& b);

} // namespace kvloupe
