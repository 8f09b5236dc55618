// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/replay/explanation.h"

#include "core/replay/replay.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace kvloupe {

std::vector<std::int32_t> ranksOf(std::span<const float> scores)
{
    std::vector<std::int32_t> order;
    for (std::size_t index = 0; index < scores.size(); ++index)
        if (!std::isnan(scores[index]))
            order.push_back(static_cast<std::int32_t>(index));
    const auto scoreOf = [&](std::int32_t index) { return scores[static_cast<std::size_t>(index)]; };
    std::ranges::sort(order, [&](std::int32_t a, std::int32_t b) { return scoreOf(a) > scoreOf(b); });

    std::vector<std::int32_t> ranks(scores.size(), 0);
    std::int32_t rank = 0;
    for (std::size_t place = 0; place < order.size(); ++place) {
        if (place == 0 || scoreOf(order[place]) < scoreOf(order[place - 1]))
            rank = static_cast<std::int32_t>(place) + 1;
        ranks[static_cast<std::size_t>(order[place])] = rank;
    }
    return ranks;
}

namespace {

/// Ranks of all sets of a layer, among each other where they were ranked together.
std::vector<std::vector<std::int32_t>> layerRanks(const LayerRanking& ranking)
{
    std::vector<std::vector<std::int32_t>> ranks;
    if (!ranking.joint) {
        for (const SetRanking& set : ranking.sets)
            ranks.push_back(ranksOf(set.scores));
        return ranks;
    }
    std::vector<float> all;
    for (const SetRanking& set : ranking.sets)
        all.insert(all.end(), set.scores.begin(), set.scores.end());
    const std::vector<std::int32_t> joint = ranksOf(all);
    auto next = joint.begin();
    for (const SetRanking& set : ranking.sets) {
        const auto end = next + static_cast<std::ptrdiff_t>(set.scores.size());
        ranks.emplace_back(next, end);
        next = end;
    }
    return ranks;
}

std::vector<bool> marked(std::span<const std::int32_t> positions, std::size_t tokens)
{
    std::vector<bool> marks(tokens, false);
    for (const std::int32_t position : positions)
        marks[static_cast<std::size_t>(position)] = true;
    return marks;
}

/// `values` of the tokens from `first` on, brought to positions of the whole prompt.
template <class Value>
std::vector<Value> byPosition(std::span<const Value> values, std::int64_t first, std::size_t tokens, Value missing)
{
    std::vector<Value> result(tokens, missing);
    std::ranges::copy(values, result.begin() + first);
    return result;
}

} // namespace

Explanation explain(const ScoredSample& scored, const Budget& budget, const ScoredSample* unpooled)
{
    constexpr float notRanked = std::numeric_limits<float>::quiet_NaN();
    const auto tokens = static_cast<std::size_t>(scored.layout().promptTokens());
    ReplayResult result = scored.choose(budget);
    const std::vector<LayerRanking> rankings = scored.rank(budget);
    std::vector<LayerRanking> unpooledRankings;
    ReplayResult unpooledResult;
    if (unpooled != nullptr) {
        unpooledRankings = unpooled->rank(budget);
        unpooledResult = unpooled->choose(budget);
    }

    Explanation explanation;
    explanation.requestedTokens = result.requestedTokens;
    explanation.notes = std::move(result.notes);
    for (std::size_t index = 0; index < scored.layers().size(); ++index) {
        const int layer = scored.layers()[index];
        const std::int64_t first = scored.scores()[index].firstPosition;
        const LayerRanking& ranking = rankings[index];
        const auto ranks = layerRanks(ranking);
        const KeepSet& keep = result.kept.at(layer);
        auto& sets = explanation.layers[layer];
        for (std::size_t set = 0; set < keep.sets.size(); ++set) {
            SetExplanation& one = sets.emplace_back();
            const SetRanking& ranked = ranking.sets[set];
            one.kept = marked(keep.sets[set], tokens);
            one.realisedTokens = static_cast<std::int64_t>(keep.sets[set].size());
            one.guards = byPosition<Guard>(ranked.guards, first, tokens, Guard::None);
            one.scores = byPosition<float>(ranked.scores, first, tokens, notRanked);
            one.ranks = byPosition<std::int32_t>(ranks[set], first, tokens, 0);
            one.guardedTokens = std::ranges::count_if(ranked.guards, [](Guard guard) { return guard != Guard::None; });
            one.rankedTokens = std::ranges::count_if(one.ranks, [](std::int32_t rank) { return rank > 0; });
            for (std::size_t position = 0; position < tokens; ++position)
                if (one.kept[position] && one.ranks[position] > 0 && one.guards[position] == Guard::None
                    && !(one.scores[position] >= one.threshold))
                    one.threshold = one.scores[position];
            if (unpooled != nullptr) {
                one.scoresWithoutPooling
                    = byPosition<float>(unpooledRankings[index].sets[set].scores, first, tokens, notRanked);
                one.keptWithoutPooling = marked(unpooledResult.kept.at(layer).sets[set], tokens);
            }
        }
    }
    return explanation;
}

} // namespace kvloupe
