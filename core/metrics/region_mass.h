// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/metrics/token_regions.h"

#include <cstdint>
#include <span>
#include <vector>

namespace kvloupe {

/// Share of attention that falls on each region, [regions], summing to 1; all 0 where there is no attention.
///
/// `attention`: of one query or summed over several, of the positions firstPosition, firstPosition + 1, ...
std::vector<double> massByRegion(
    std::span<const float> attention, std::int64_t firstPosition, const TokenRegions& regions);

} // namespace kvloupe
