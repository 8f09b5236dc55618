// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/prompt/prompt_layout.h"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace kvloupe {

/// A part of the tokens that attention and kept tokens are counted for.
struct TokenRegion {
    std::string name; ///< a span kind ("bos", "question", ...), "shot" for every part of an example, "other"
    int shot = -1; ///< number of the few-shot example, -1 = none

    auto operator<=>(const TokenRegion&) const = default;
};

/// Every token in exactly one region, so that shares of regions sum to 1.
///
/// A token belongs to the shortest span that covers it; spans that carry the number of an example count as that
/// example, and "generated" yields to every other span. Tokens without a span are "other" in the prompt and "generated"
/// after it. Regions stand in the order of their first tokens.
class TokenRegions {
public:
    explicit TokenRegions(const PromptLayout& layout);

    std::int64_t tokens() const { return static_cast<std::int64_t>(m_regionOf.size()); }
    std::span<const TokenRegion> regions() const { return m_regions; }
    /// Index into regions().
    int at(std::int64_t position) const { return m_regionOf[static_cast<std::size_t>(position)]; }
    /// How many tokens of each region lie in [begin, end).
    std::vector<std::int64_t> countWithin(std::int64_t begin, std::int64_t end) const;

private:
    std::vector<TokenRegion> m_regions;
    std::vector<int> m_regionOf; ///< [totalTokens]
};

} // namespace kvloupe
