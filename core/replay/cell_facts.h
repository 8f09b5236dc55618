// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/replay/attention_tiles.h"

#include <cstdint>
#include <limits>
#include <optional>
#include <span>

namespace kvloupe {

/// One cell of a map of `tokens` x `tokens` cells, and the level at which it is shown.
struct CellAddress {
    int sample = 0;
    int layer = 0;
    int head = 0;
    std::int64_t query = 0;
    std::int64_t key = 0;
    int level = 0;
    std::int64_t tokens = 0; ///< prompt tokens, or all
};

/// What a pooled pixel stands for: exact numbers over the cells of its 2^level x 2^level block inside the causal
/// window.
struct BlockFacts {
    float maximum = 0.0F; ///< of differences: that with the largest magnitude
    float mean = 0.0F;
    float minimum = 0.0F;
    std::int64_t maximumQuery = 0; ///< the cell that holds the maximum, the first of equals
    std::int64_t maximumKey = 0;
    std::int64_t cells = 0;
};

struct CellFacts {
    float value = std::numeric_limits<float>::quiet_NaN(); ///< float32, NaN if nothing was recorded
    std::int64_t rank = 0; ///< in its row: 1 = largest, equal values share a rank; 0 = unknown
    std::int64_t visible = 0; ///< keys that its query sees
    std::optional<BlockFacts> block; ///< above level 0, if the block has cells and they were recorded
};

enum class BlockMaximum { Value, Magnitude };

/// Facts of the block `queries` x `keys` ([rows, columns] `values`) inside the causal window; nothing if no cell of it
/// is.
std::optional<BlockFacts> blockFacts(
    std::span<const float> values, TokenRange queries, TokenRange keys, std::int64_t window, BlockMaximum maximum);
/// Tokens [begin, end) of the block of 2^level tokens that holds `token`.
TokenRange blockOf(std::int64_t token, int level, std::int64_t tokens);

/// O(tokens + 4^level) time. Throws RecordingError for a cell outside the sample.
CellFacts cellFacts(const Recording& recording, AttentionTiles& tiles, const CellAddress& address);

} // namespace kvloupe
