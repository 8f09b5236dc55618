// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/replay/cache_timeline.h"

#include <cstdint>
#include <span>

namespace kvloupe {

/// Share of the attention of one query that falls on kept tokens, in [0, 1].
///
/// `row`: attention on the positions firstPosition, firstPosition + 1, ...; `kept`: positions, ascending. The share is
/// taken of what the row holds, so that keeping everything is exactly 1, in layers with a sliding window too.
double retainedMass(std::span<const float> row, std::int64_t firstPosition, std::span<const std::int32_t> kept);

/// The same while decoding: what generated query `step` (0 = first) still finds of its full-attention row.
///
/// `row`: attention on the positions [0, promptTokens + step]. A token that leaves after the n-th generated token is
/// seen by the queries before and not by later ones; tokens that the method hides from the query are not found either.
double retainedMassWhileDecoding(std::span<const float> row, const HeadTimeline& timeline, std::int64_t step);

} // namespace kvloupe
