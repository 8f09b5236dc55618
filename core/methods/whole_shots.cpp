// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/methods/whole_shots.h"

#include "core/methods/parameter_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace kvloupe {

namespace {

constexpr float notRanked = std::numeric_limits<float>::quiet_NaN();

std::size_t index(std::int64_t value)
{
    return static_cast<std::size_t>(value);
}

} // namespace

ShotUnits ShotUnits::of(const PromptLayout& layout, bool runsOutside, std::string_view method)
{
    ShotUnits result;
    const std::int64_t tokens = layout.promptTokens();
    result.unitOf.assign(index(tokens), -1);
    for (const TokenRange& shot : layout.shots()) {
        Unit unit;
        const auto number = static_cast<std::int32_t>(result.units.size());
        for (std::int64_t token = shot.begin; token < std::min(shot.end, tokens); ++token) {
            if (result.unitOf[index(token)] >= 0)
                continue;
            if (unit.size++ == 0)
                unit.begin = token;
            result.unitOf[index(token)] = number;
        }
        if (unit.size > 0)
            result.units.push_back(unit);
    }
    if (result.units.empty())
        throw MethodError(fmt::format("{}: the prompt has no few-shot examples; say where they are with --spans, or "
                                      "record them with capture --shot-separator",
            method));
    bool inRun = false;
    for (std::int64_t token = 0; token < tokens && runsOutside; ++token) {
        const bool outside = result.unitOf[index(token)] < 0;
        if (outside) {
            if (!inRun)
                result.units.push_back({token, 0});
            ++result.units.back().size;
            result.unitOf[index(token)] = static_cast<std::int32_t>(result.units.size() - 1);
        }
        inRun = outside;
    }
    return result;
}

namespace {

/// A decision over layers that share it. Positions before `first` have left all of their caches.
struct Decision {
    ShotUnits units;
    std::int64_t first = 0;
    std::vector<double> scores; ///< of the units, NaN = none of its tokens is in the cache
    std::vector<std::int64_t> sizes; ///< tokens of the units from `first` on
    std::vector<bool> taken; ///< of the units
};

Decision rated(std::span<const Scores> layers, const ChoiceContext& context, bool runsOutside, std::string_view method)
{
    Decision decision{ShotUnits::of(context.layout, runsOutside, method), context.layout.promptTokens(), {}, {}, {}};
    const std::size_t count = decision.units.units.size();
    decision.scores.assign(count, 0.0);
    decision.sizes.assign(count, 0);
    decision.taken.assign(count, false);
    for (const Scores& layer : layers) {
        decision.first = std::min(decision.first, layer.firstPosition);
        for (std::int64_t token = 0; token < layer.tokens; ++token)
            if (const std::int32_t unit = decision.units.unitOf[index(token + layer.firstPosition)]; unit >= 0)
                decision.scores[index(unit)] += static_cast<double>(layer.values[index(token)]);
    }
    for (std::int64_t position = decision.first; position < context.layout.promptTokens(); ++position)
        if (const std::int32_t unit = decision.units.unitOf[index(position)]; unit >= 0)
            ++decision.sizes[index(unit)];
    for (std::size_t unit = 0; unit < count; ++unit)
        decision.scores[unit] = decision.sizes[unit] > 0
            ? decision.scores[unit] / static_cast<double>(decision.sizes[unit])
            : static_cast<double>(notRanked);
    return decision;
}

/// Units that can be taken, best first; among equal scores the one that begins first.
std::vector<std::size_t> bestFirst(const Decision& decision)
{
    std::vector<std::size_t> order;
    for (std::size_t unit = 0; unit < decision.sizes.size(); ++unit)
        if (decision.sizes[unit] > 0)
            order.push_back(unit);
    const auto scoreOf = [&](std::size_t unit) {
        const double score = decision.scores[unit];
        return std::isnan(score) ? -std::numeric_limits<double>::infinity() : score;
    };
    std::ranges::sort(order, [&](std::size_t a, std::size_t b) {
        return scoreOf(a) != scoreOf(b) ? scoreOf(a) > scoreOf(b)
                                        : decision.units.units[a].begin < decision.units.units[b].begin;
    });
    return order;
}

void takeGreedily(Decision& decision, std::int64_t room, bool skip)
{
    for (const std::size_t unit : bestFirst(decision)) {
        if (decision.sizes[unit] <= room) {
            decision.taken[unit] = true;
            room -= decision.sizes[unit];
        } else if (!skip) {
            return;
        }
    }
}

/// The subset of the largest sum of scores; of equal sums the one with the earliest units. O(units x room).
void takeBestSubset(Decision& decision, std::int64_t room)
{
    std::vector<std::size_t> order;
    for (std::size_t unit = 0; unit < decision.sizes.size(); ++unit)
        if (decision.sizes[unit] > 0 && decision.sizes[unit] <= room && !std::isnan(decision.scores[unit]))
            order.push_back(unit);
    std::ranges::sort(order, {}, [&](std::size_t unit) { return decision.units.units[unit].begin; });
    // From the last unit to the first: best[c] = largest sum of the units from here on that fit into c tokens.
    const std::size_t columns = index(room) + 1;
    std::vector<double> best(columns, 0.0);
    std::vector<std::vector<bool>> take(order.size(), std::vector<bool>(columns, false));
    for (std::size_t place = order.size(); place-- > 0;) {
        const auto size = index(decision.sizes[order[place]]);
        const double score = decision.scores[order[place]];
        for (std::size_t column = columns; column-- > size;)
            if (const double with = score + best[column - size]; with >= best[column]) {
                best[column] = with;
                take[place][column] = true;
            }
    }
    std::size_t column = index(room);
    for (std::size_t place = 0; place < order.size(); ++place)
        if (take[place][column]) {
            decision.taken[order[place]] = true;
            column -= index(decision.sizes[order[place]]);
        }
}

} // namespace

WholeShots::WholeShots(std::string_view method, Parameters parameters)
    : m_method(method)
    , m_parameters(parameters)
{
}

namespace {

/// Takes units within the budget, and remarks when there is nothing to take.
void decide(Decision& decision, const WholeShots::Parameters& parameters, const ChoiceContext& context)
{
    const std::int64_t tokens = context.layout.promptTokens() - decision.first;
    const std::int64_t budget = context.budget.tokensKept(tokens, parameters.rounding);
    const std::int64_t outside = tokens - std::accumulate(decision.sizes.begin(), decision.sizes.end(), std::int64_t{});
    const bool charged = parameters.outside == WholeShots::Outside::Protect && parameters.outsideCounts;
    const std::int64_t room = std::max<std::int64_t>(0, charged ? budget - outside : budget);
    if (charged && outside > budget) {
        context.note(fmt::format("the {} tokens outside the examples alone exceed the budget of {} tokens; they were "
                                 "kept, and no example",
            outside, budget));
        return;
    }
    if (parameters.fit == WholeShots::Fit::Knapsack)
        takeBestSubset(decision, room);
    else
        takeGreedily(decision, room, parameters.fit == WholeShots::Fit::Skip);
    if (std::ranges::find(decision.taken, true) == decision.taken.end())
        context.note(
            fmt::format("no example fits into the {} tokens that a budget of {} leaves for examples", room, budget));
}

} // namespace

std::vector<KeepSet> WholeShots::choose(std::span<const Scores> scores, const ChoiceContext& context) const
{
    std::vector<KeepSet> result;
    const std::size_t together = m_parameters.wholeModel ? std::max<std::size_t>(1, scores.size()) : 1;
    for (std::size_t begin = 0; begin < scores.size(); begin += together) {
        const auto layers = scores.subspan(begin, together);
        Decision decision = rated(layers, context, m_parameters.outside == Outside::RankAsShots, m_method);
        decide(decision, m_parameters, context);
        for (const Scores& layer : layers) {
            std::vector<std::int32_t> kept;
            for (std::int64_t token = 0; token < layer.tokens; ++token) {
                const std::int32_t unit = decision.units.unitOf[index(token + layer.firstPosition)];
                if (unit >= 0 ? decision.taken[index(unit)] : m_parameters.outside == Outside::Protect)
                    kept.push_back(static_cast<std::int32_t>(token));
            }
            result.push_back(layerKeepSet(std::move(kept), context.kvHeads));
        }
    }
    return result;
}

std::vector<LayerRanking> WholeShots::rank(std::span<const Scores> scores, const ChoiceContext& context) const
{
    std::vector<LayerRanking> result;
    const std::size_t together = m_parameters.wholeModel ? std::max<std::size_t>(1, scores.size()) : 1;
    for (std::size_t begin = 0; begin < scores.size(); begin += together) {
        const auto layers = scores.subspan(begin, together);
        const Decision decision = rated(layers, context, m_parameters.outside == Outside::RankAsShots, m_method);
        for (const Scores& layer : layers) {
            SetRanking set{std::vector<float>(index(layer.tokens), notRanked),
                std::vector<Guard>(index(layer.tokens), Guard::None)};
            for (std::int64_t token = 0; token < layer.tokens; ++token) {
                const std::int32_t unit = decision.units.unitOf[index(token + layer.firstPosition)];
                if (unit >= 0)
                    set.scores[index(token)] = static_cast<float>(decision.scores[index(unit)]);
                else if (m_parameters.outside == Outside::Protect)
                    set.guards[index(token)] = Guard::OutsideShots;
            }
            result.push_back({std::vector<SetRanking>(index(context.kvHeads), set), false});
        }
    }
    return result;
}

std::vector<ParameterInfo> wholeShotsParameters()
{
    using enum ParameterInfo::Type;
    return {
        {"nonshot", Choice, "protect",
            "tokens outside the examples: always kept, ranked as if each run were an example, or dropped", 0, 0,
            {"protect", "rank_as_shots", "drop"}},
        {"nonshot_counts", Boolean, "true", "protected tokens are part of the budget", 0, 0, {}},
        {"fit", Choice, "skip",
            "when the next best example does not fit: skip it, stop there, or take the subset of the largest sum of "
            "scores",
            0, 0, {"skip", "stop", "knapsack"}},
    };
}

WholeShots::Parameters wholeShotsValues(const ParameterValues& values)
{
    WholeShots::Parameters parameters;
    const std::string& outside = values.at("nonshot");
    parameters.outside = outside == "drop" ? WholeShots::Outside::Drop
        : outside == "rank_as_shots"       ? WholeShots::Outside::RankAsShots
                                           : WholeShots::Outside::Protect;
    parameters.outsideCounts = booleanValue(values, "nonshot_counts");
    const std::string& fit = values.at("fit");
    parameters.fit = fit == "stop" ? WholeShots::Fit::Stop
        : fit == "knapsack"        ? WholeShots::Fit::Knapsack
                                   : WholeShots::Fit::Skip;
    parameters.rounding = budgetRule(values);
    return parameters;
}

} // namespace kvloupe
