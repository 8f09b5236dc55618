// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/methods/keep_set.h"
#include "core/methods/scorer.h"

#include <cstdint>
#include <span>
#include <vector>

namespace kvloupe {

/// Scores on the way from query heads to sets, row-major [sets, tokens], in double: sums of float32 attention stay
/// exact enough that equal scores remain equal whatever order they were added in.
struct HeadScores {
    int sets = 0;
    std::int64_t tokens = 0;
    std::vector<double> values;

    HeadScores(int setCount, std::int64_t tokenCount);
    std::span<double> set(int index)
    {
        return std::span(values).subspan(static_cast<std::size_t>(index * tokens), static_cast<std::size_t>(tokens));
    }
    std::span<const double> set(int index) const
    {
        return std::span(values).subspan(static_cast<std::size_t>(index * tokens), static_cast<std::size_t>(tokens));
    }
};

/// [queryHeads, keys]: attention that the first `keys` keys received from the last `rows` queries of the evidence, rows
/// added in order.
HeadScores lastRowSums(const LayerEvidence& evidence, std::int64_t rows, std::int64_t keys);

/// How many sets a layer of `queryHeads` over `kvHeads` heads has: 1, kvHeads or queryHeads.
int setCount(Granularity granularity, int queryHeads, int kvHeads);

/// Brings scores per query head to the sets of `granularity`: over all query heads (Layer), over each group (KvHead),
/// or not at all (QueryHead). Mean is the sum times the returned `scale`, which is left to the caller: it never changes
/// a ranking, while dividing before pooling would round equal sums apart.
struct ReducedScores {
    HeadScores scores;
    double scale = 1.0;
};
ReducedScores reduceGroups(HeadScores perQueryHead, Granularity granularity, GroupReduction reduction, int kvHeads);

/// Scores of a layer without values: sets, tokens and first position as `evidence` has them.
Scores emptyScores(Granularity granularity, const LayerEvidence& evidence);

/// Scores of a layer: `scores` times `scale` as float32; tokens beyond scores.tokens are the scorer's window,
/// +infinity.
Scores finishedScores(const HeadScores& scores, double scale, Granularity granularity, const LayerEvidence& evidence);

} // namespace kvloupe
