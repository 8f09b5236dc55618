// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/metrics/row_sparsity.h"
#include "core/recording/recording.h"
#include "core/recording/recording_cache.h"

#include <span>
#include <vector>

namespace kvloupe {

/// Sparsity of every row of a layer, prompt and generated tokens, one series of T rows per entry of `heads` (query
/// heads, ascending).
///
/// Recorded statistics as they are; those that are not in the recording are made again from queries and keys in one
/// pass over the rows, which is O(T^2); with a `cache` they are taken from there, and kept there once they were made
/// for all heads. Throws RecordingError naming the `capture` option if there is neither.
std::vector<SparsitySeries> recordedSparsity(
    const Recording& recording, int sample, int layer, std::span<const int> heads, RecordingCache* cache = nullptr);

} // namespace kvloupe
