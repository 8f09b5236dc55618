// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/methods/keep_set.h"

#include <cstdint>
#include <span>
#include <vector>

namespace kvloupe {

/// How many heads keep each token. With grouped queries a vote is that of a KV head, which all its query heads share.
struct HeadVotes {
    std::vector<std::int32_t> counts; ///< [promptTokens]
    std::int32_t heads = 0; ///< sets that voted

    /// In [0, 1]; 0 without votes and for generated tokens.
    double share(std::int64_t token) const;
    bool isEmpty() const { return heads == 0; }
    bool operator==(const HeadVotes&) const = default;
};

/// Votes of all sets of `layers`. Positions outside the prompt count for nothing.
HeadVotes countVotes(std::span<const KeepSet> layers, std::int64_t promptTokens);

} // namespace kvloupe
