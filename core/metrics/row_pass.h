// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/recording/recording.h"
#include "core/recording/row_statistics.h"

#include <cstdint>
#include <functional>
#include <span>

namespace kvloupe {

/// Neighbouring rows of the attention of one query head.
struct RowBlock {
    int head = 0;
    std::int64_t queryBegin = 0;
    std::int64_t rows = 0;
    std::span<const RowStatistics> statistics; ///< [rows]
    const float* cells = nullptr; ///< [rows, stride], columns are positions
    std::int64_t stride = 0;
    std::int64_t window = 0; ///< sliding window of the layer, 0 = global

    /// First position that row `row` of the block sees; the last is the query's own.
    std::int64_t firstVisible(std::int64_t row) const;
    std::span<const float> visible(std::int64_t row) const;
};

/// Goes once over the rows [queryBegin, queryEnd) of a layer, made again from recorded queries and keys: the bits of
/// the forward pass. `heads`: query heads, ascending.
///
/// `visit` is called from several threads, in no particular order. Memory: queries and keys of some KV heads, one block
/// of rows per thread; O(block x T). Throws RecordingError naming the `capture` option if queries and keys were not
/// recorded.
void forEachRowBlock(const Recording& recording, int sample, int layer, std::span<const int> heads,
    std::int64_t queryBegin, std::int64_t queryEnd, const std::function<void(const RowBlock&)>& visit);

} // namespace kvloupe
