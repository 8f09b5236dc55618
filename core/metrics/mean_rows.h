// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/replay/attention_tiles.h"

#include <cstdint>
#include <span>
#include <vector>

namespace kvloupe {

/// Where some queries of a layer looked on average.
struct MeanRows {
    TokenRange queries; ///< those that were asked; empty if no rows were recorded
    /// [heads, P] mean attention of these queries on each prompt token, full attention; NaN for a head without rows.
    std::vector<float> values;

    std::span<const float> head(int head, std::int64_t promptTokens) const;
};

/// The first `most` generated queries if there are any whose rows were recorded, else the last `most` of the prompt:
/// those that come after a method has cut the prompt, or stand for them. From queries and keys if they were recorded,
/// else from maps and recorded rows, else from the stored tail. O(most x P) per head.
MeanRows meanRows(const Recording& recording, AttentionTiles& tiles, int sample, int layer, std::int64_t most = 32);

/// Attention of a mean row on the prompt tokens that are not in `kept` (positions, ascending): the mass that these
/// queries lose, in [0, 1]. NaN if the row is not known.
double lostAttention(std::span<const float> row, std::span<const std::int32_t> kept);

} // namespace kvloupe
