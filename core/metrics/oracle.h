// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/methods/keep_set.h"

#include <cstdint>
#include <span>
#include <vector>

namespace kvloupe {

/// Attention from generated queries on prompt tokens, brought to the sets of `like`: summed over the query heads of
/// each set, over all heads for Granularity::Layer.
///
/// `future`: [queryHeads, tokens], of the positions firstPosition, ... Result: [like.sets.size(), tokens].
std::vector<std::vector<float>> futureMassOfSets(
    std::span<const float> future, int queryHeads, std::int64_t tokens, const KeepSet& like);

/// What a method that knows the generated queries would keep: in each set as many tokens as `like` keeps, those with
/// most attention from all generated queries together; of equals the earlier. Only positions of the layer's cache are
/// ranked. `mass`: of futureMassOfSets.
KeepSet oracleKeepSet(std::span<const std::vector<float>> mass, std::int64_t firstPosition, const KeepSet& like);

} // namespace kvloupe
