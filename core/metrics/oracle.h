// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/methods/keep_set.h"

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace kvloupe {

class DecodeRowSource;

/// Called for every row of a generated query: query head, step, attention of its tokens. Several heads at a time.
using GeneratedRowVisitor = std::function<void(int head, std::int64_t step, std::span<const float> row)>;

/// What each of the first `tokens` positions receives from the first `steps` generated queries together,
/// [queryHeads, tokens], summed in double precision. `visit` may be empty.
std::vector<float> attentionFromGenerated(
    DecodeRowSource& rows, std::int64_t steps, std::int64_t tokens, const GeneratedRowVisitor& visit = {});

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
