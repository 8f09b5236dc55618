// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/methods/adakv.h"

#include "core/methods/parameter_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace kvloupe {

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

std::int64_t guardedTokens(const Protection& protection, std::int64_t tokens)
{
    return std::min(protection.sinks + protection.recent, tokens);
}

/// Indices of the best `count` of all `sets` [sets * tokens], as tokens of each set.
std::vector<std::vector<std::int32_t>> bestOfAll(std::span<const float> sets, std::int64_t tokens, std::int64_t count)
{
    std::vector<std::vector<std::int32_t>> best(
        sets.size() / static_cast<std::size_t>(std::max<std::int64_t>(tokens, 1)));
    for (const std::int32_t index : selectTop(sets, count, {}))
        best[static_cast<std::size_t>(index / tokens)].push_back(static_cast<std::int32_t>(index % tokens));
    return best;
}

} // namespace

JointChoice chooseJointly(const Scores& layer, std::int64_t count, double alpha)
{
    std::int64_t minimum = static_cast<std::int64_t>(static_cast<double>(count) * alpha);
    if (alpha > 0.0)
        minimum = std::max<std::int64_t>(minimum, 1);

    JointChoice choice;
    std::vector<float> claims(layer.values);
    for (int set = 0; set < layer.sets; ++set) {
        const Protection protection = infiniteEnds(layer.set(set));
        const std::int64_t safe = std::min(count, std::max(minimum, guardedTokens(protection, layer.tokens)));
        choice.safe.push_back(selectTop(layer.set(set), safe, protection));
        const auto own = std::span(claims).subspan(
            static_cast<std::size_t>(set * layer.tokens), static_cast<std::size_t>(layer.tokens));
        std::ranges::replace(own, infinity, -infinity);
        for (const std::int32_t index : choice.safe.back())
            own[static_cast<std::size_t>(index)] = infinity;
    }
    choice.kept = bestOfAll(claims, layer.tokens, layer.sets * count);
    return choice;
}

namespace {

/// How many tokens each set keeps when `count` per set are first claimed jointly and then drawn towards an equal share.
std::vector<std::int64_t> interpolatedCounts(
    const Scores& layer, std::int64_t count, double towardsEqual, bool normalise)
{
    const Protection protection = infiniteEnds(layer.set(0));
    const std::int64_t guarded = guardedTokens(protection, layer.tokens);
    std::vector<std::int64_t> counts(static_cast<std::size_t>(layer.sets), count);
    if (count <= guarded)
        return counts;

    const auto base = count - guarded;
    const auto ranked = static_cast<std::size_t>(layer.tokens - guarded);
    std::vector<float> claims;
    for (int set = 0; set < layer.sets; ++set) {
        const auto own = layer.set(set).subspan(static_cast<std::size_t>(protection.sinks), ranked);
        double scale = 1.0;
        if (normalise) {
            double total = 0.0;
            for (const float score : own)
                total += static_cast<double>(score);
            double best = 0.0;
            for (const std::int32_t index : selectTop(own, base, {}))
                best += static_cast<double>(own[static_cast<std::size_t>(index)]);
            scale = total > 0.0 ? best / total : 1.0;
        }
        for (const float score : own)
            claims.push_back(static_cast<float>(static_cast<double>(score) * scale));
    }
    const auto claimed = bestOfAll(claims, static_cast<std::int64_t>(ranked), layer.sets * base);
    const double equalPart = std::trunc(static_cast<double>(base) * towardsEqual);
    for (std::size_t set = 0; set < counts.size(); ++set) {
        const double own = static_cast<double>(claimed[set].size()) * (1.0 - towardsEqual);
        const auto drawn = static_cast<std::int64_t>(std::nearbyint(own + equalPart));
        counts[set] = guarded + std::clamp<std::int64_t>(drawn, 0, static_cast<std::int64_t>(ranked));
    }
    return counts;
}

} // namespace

SharedBudget::SharedBudget(Parameters parameters)
    : m_parameters(parameters)
{
}

std::vector<KeepSet> SharedBudget::choose(std::span<const Scores> scores, const ChoiceContext& context) const
{
    std::vector<KeepSet> result;
    for (const Scores& layer : scores) {
        const std::int64_t count = context.budget.tokensKept(layer.tokens, m_parameters.rounding);
        context.noteIfBelow(count, guardedTokens(infiniteEnds(layer.set(0)), layer.tokens));
        KeepSet& keep = result.emplace_back(KeepSet{layer.granularity, {}});
        if (m_parameters.variant == Variant::Joint) {
            keep.sets = chooseJointly(layer, count, m_parameters.alpha).kept;
            continue;
        }
        const auto counts = interpolatedCounts(layer, count, m_parameters.alpha, m_parameters.normalise);
        for (int set = 0; set < layer.sets; ++set)
            keep.sets.push_back(
                selectTop(layer.set(set), counts[static_cast<std::size_t>(set)], infiniteEnds(layer.set(set))));
    }
    return result;
}

std::vector<LayerRanking> SharedBudget::rank(std::span<const Scores> scores, const ChoiceContext& context) const
{
    std::vector<LayerRanking> result = Chooser::rank(scores, context);
    for (std::size_t layer = 0; layer < result.size() && m_parameters.variant == Variant::Joint; ++layer) {
        const std::int64_t count = context.budget.tokensKept(scores[layer].tokens, m_parameters.rounding);
        const JointChoice choice = chooseJointly(scores[layer], count, m_parameters.alpha);
        result[layer].joint = true;
        for (std::size_t set = 0; set < choice.safe.size(); ++set) {
            SetRanking& ranking = result[layer].sets[set];
            for (const std::int32_t index : choice.safe[set])
                if (Guard& guard = ranking.guards[static_cast<std::size_t>(index)]; guard == Guard::None) {
                    guard = Guard::HeadMinimum;
                    ranking.scores[static_cast<std::size_t>(index)] = std::numeric_limits<float>::quiet_NaN();
                }
        }
    }
    return result;
}

MethodInfo adaKvMethod()
{
    MethodInfo info;
    info.name = "adakv";
    info.title = "AdaKV";
    info.summary = "Shares the budget of a layer out among its heads by one ranking of all their tokens.";
    info.source = "Feng et al. 2024, arXiv 2407.11550, section 3";
    info.parameters = {
        {"scorer", ParameterInfo::Type::Text, "snapkv", "method whose scores are ranked, name[@preset]", 0, 0, {}},
        {"variant", ParameterInfo::Type::Choice, "joint",
            "joint: one ranking with a minimum per head; interp: it only sets how many tokens each head keeps", 0, 0,
            {"joint", "interp"}},
        {"alpha", ParameterInfo::Type::Real, "0.2",
            "share of the budget that every head keeps by itself, or how far heads are drawn to an equal share", 0, 1,
            {}},
        {"normalise", ParameterInfo::Type::Boolean, "true",
            "variant=interp: heads are weighed by how much of their mass lies on their best tokens", 0, 0, {}},
        budgetRoundingParameter(),
    };
    info.presets = {
        {"kvpress", {{"scorer", "snapkv@kvpress"}, {"budget_rounding", "trunc_double"}}, "AdaKVPress of kvpress"},
        {"kvcf", {{"scorer", "snapkv@kvcf"}, {"variant", "interp"}, {"budget_rounding", "round_half_even"}},
            "AdaKV of KVCache-Factory with kv_head granularity"},
    };
    info.wrap = [](const ParameterValues& values, const Method& inner) {
        if (inner.granularity == Granularity::Layer)
            throw MethodError(
                fmt::format("adakv: scorer {} scores whole layers, expected one that scores every head", inner.name));
        SharedBudget::Parameters parameters;
        parameters.variant
            = values.at("variant") == "interp" ? SharedBudget::Variant::Interpolated : SharedBudget::Variant::Joint;
        parameters.alpha = realValue(values, "alpha");
        parameters.normalise = booleanValue(values, "normalise");
        parameters.rounding = budgetRule(values);
        Method method;
        method.granularity = inner.granularity;
        method.scorer = inner.scorer;
        method.chooser = std::make_shared<SharedBudget>(parameters);
        return method;
    };
    return info;
}

} // namespace kvloupe
