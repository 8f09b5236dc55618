// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/methods/group_reduction.h"

#include "core/attention/column_sums.h"

#include <algorithm>
#include <functional>
#include <limits>

namespace kvloupe {

HeadScores::HeadScores(int setCount, std::int64_t tokenCount)
    : sets(setCount)
    , tokens(tokenCount)
    , values(static_cast<std::size_t>(setCount * tokenCount), 0.0)
{
}

HeadScores lastRowSums(const LayerEvidence& evidence, std::int64_t rows, std::int64_t keys)
{
    HeadScores sums(evidence.queryHeads, keys);
    if (rows < 1)
        return sums;
    const std::int64_t first = evidence.lastRowCount - rows;
    for (int head = 0; head < evidence.queryHeads; ++head) {
        const float* begin = evidence.lastRow(head, first).data();
        addRows({begin, static_cast<std::size_t>(rows * evidence.tokens)}, evidence.tokens, rows, sums.set(head));
    }
    return sums;
}

int setCount(Granularity granularity, int queryHeads, int kvHeads)
{
    switch (granularity) {
    case Granularity::Layer:
        return 1;
    case Granularity::KvHead:
        return kvHeads;
    case Granularity::QueryHead:
        break;
    }
    return queryHeads;
}

ReducedScores reduceGroups(HeadScores perQueryHead, Granularity granularity, GroupReduction reduction, int kvHeads)
{
    const int sets = setCount(granularity, perQueryHead.sets, kvHeads);
    const int groupSize = perQueryHead.sets / sets;
    if (groupSize == 1)
        return {std::move(perQueryHead), 1.0};

    HeadScores reduced(sets, perQueryHead.tokens);
    for (int set = 0; set < sets; ++set) {
        const auto out = reduced.set(set);
        std::ranges::copy(perQueryHead.set(set * groupSize), out.begin());
        for (int member = 1; member < groupSize; ++member) {
            const auto in = perQueryHead.set(set * groupSize + member);
            if (reduction == GroupReduction::Max)
                std::ranges::transform(out, in, out.begin(), [](double a, double b) { return std::max(a, b); });
            else
                std::ranges::transform(out, in, out.begin(), std::plus<>());
        }
    }
    return {std::move(reduced), reduction == GroupReduction::Mean ? 1.0 / groupSize : 1.0};
}

Scores emptyScores(Granularity granularity, const LayerEvidence& evidence)
{
    Scores scores;
    scores.granularity = granularity;
    scores.sets = setCount(granularity, evidence.queryHeads, evidence.kvHeads);
    scores.tokens = evidence.tokens;
    scores.firstPosition = evidence.firstPosition;
    return scores;
}

Scores finishedScores(const HeadScores& scores, double scale, Granularity granularity, const LayerEvidence& evidence)
{
    Scores finished = emptyScores(granularity, evidence);
    finished.sets = scores.sets;
    finished.values.assign(
        static_cast<std::size_t>(scores.sets * evidence.tokens), std::numeric_limits<float>::infinity());
    for (int set = 0; set < scores.sets; ++set)
        std::ranges::transform(scores.set(set), finished.set(set).begin(),
            [scale](double value) { return static_cast<float>(value * scale); });
    return finished;
}

} // namespace kvloupe
