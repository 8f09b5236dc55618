// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/methods/criticalkv.h"

#include "core/methods/adakv.h"
#include "core/methods/group_reduction.h"
#include "core/methods/parameter_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

namespace kvloupe {

OutputWeightedScorer::OutputWeightedScorer(std::shared_ptr<const Scorer> inner)
    : m_inner(std::move(inner))
{
}

EvidenceNeeds OutputWeightedScorer::needs(const PromptLayout& layout) const
{
    EvidenceNeeds needs = m_inner->needs(layout);
    needs.outputValueNorms = true;
    return needs;
}

Scores OutputWeightedScorer::score(const LayerEvidence& evidence, const PromptLayout& layout) const
{
    evidence.check(needs(layout));
    Scores scores = m_inner->score(evidence, layout);
    HeadScores norms(evidence.queryHeads, evidence.tokens);
    std::ranges::copy(evidence.outputValueNorms, norms.values.begin());
    const ReducedScores reduced
        = reduceGroups(std::move(norms), scores.granularity, GroupReduction::Mean, evidence.kvHeads);
    scores.weights.resize(reduced.scores.values.size());
    std::ranges::transform(reduced.scores.values, scores.weights.begin(),
        [&](double sum) { return static_cast<float>(sum * reduced.scale); });
    return scores;
}

std::shared_ptr<const Scorer> OutputWeightedScorer::withoutPooling() const
{
    std::shared_ptr<const Scorer> unpooled = m_inner->withoutPooling();
    return unpooled ? std::make_shared<OutputWeightedScorer>(std::move(unpooled)) : nullptr;
}

TwoStages::TwoStages(Parameters parameters)
    : m_parameters(std::move(parameters))
{
}

std::vector<TwoStages::Stages> TwoStages::stagesOf(const Scores& layer, const ChoiceContext& context) const
{
    const std::int64_t count = context.budget.tokensKept(layer.tokens, m_parameters.rounding);
    JointChoice joint;
    if (m_parameters.sharedBudget)
        joint = chooseJointly(layer, count, m_parameters.alpha);

    std::vector<Stages> result;
    for (int set = 0; set < layer.sets; ++set) {
        const auto scores = layer.set(set);
        const Protection protection = infiniteEnds(scores);
        const std::int64_t guarded = std::min(protection.sinks + protection.recent, layer.tokens);
        Stages& stages = result.emplace_back();
        stages.count = count;
        if (m_parameters.sharedBudget) {
            stages.count = static_cast<std::int64_t>(joint.kept[static_cast<std::size_t>(set)].size());
            stages.safe = joint.safe[static_cast<std::size_t>(set)];
        }
        auto first = static_cast<std::int64_t>(static_cast<double>(stages.count) * m_parameters.firstShare);
        if (m_parameters.firstShare > 0.0 && !m_parameters.sharedBudget)
            first = std::max<std::int64_t>(first, 1);
        first = std::max({first, guarded, static_cast<std::int64_t>(stages.safe.size())});
        stages.first = selectTop(scores, std::min(first, stages.count), protection);

        const auto weights
            = std::span(layer.weights).subspan(static_cast<std::size_t>(set * layer.tokens), scores.size());
        stages.weighed.resize(scores.size());
        std::ranges::transform(scores, weights, stages.weighed.begin(), [&](float score, float weight) {
            return static_cast<float>(
                (static_cast<double>(score) + m_parameters.epsilon) * static_cast<double>(weight));
        });
        for (const std::int32_t index : stages.first)
            stages.weighed[static_cast<std::size_t>(index)] = std::numeric_limits<float>::infinity();
    }
    return result;
}

std::vector<KeepSet> TwoStages::choose(std::span<const Scores> scores, const ChoiceContext& context) const
{
    if (!m_parameters.remark.empty())
        context.note(m_parameters.remark);
    std::vector<KeepSet> result;
    for (const Scores& layer : scores) {
        const Protection protection = infiniteEnds(layer.set(0));
        context.noteIfBelow(context.budget.tokensKept(layer.tokens, m_parameters.rounding),
            std::min(protection.sinks + protection.recent, layer.tokens));
        KeepSet keep{layer.granularity, {}};
        for (const Stages& stages : stagesOf(layer, context))
            keep.sets.push_back(stages.first.size() == static_cast<std::size_t>(stages.count)
                    ? stages.first
                    : selectTop(stages.weighed, stages.count, {}));
        if (layer.granularity == Granularity::Layer)
            keep = layerKeepSet(std::move(keep.sets.front()), context.kvHeads);
        result.push_back(std::move(keep));
    }
    return result;
}

std::vector<LayerRanking> TwoStages::rank(std::span<const Scores> scores, const ChoiceContext& context) const
{
    std::vector<LayerRanking> result = Chooser::rank(scores, context);
    for (std::size_t layer = 0; layer < result.size(); ++layer) {
        const std::vector<Stages> stages = stagesOf(scores[layer], context);
        for (std::size_t set = 0; set < result[layer].sets.size(); ++set) {
            SetRanking& ranking = result[layer].sets[set];
            const Stages& own = stages[std::min(set, stages.size() - 1)]; // one for all heads of a layer, or its own
            const auto take = [&ranking](std::int32_t index, Guard guard) {
                Guard& there = ranking.guards[static_cast<std::size_t>(index)];
                there = there == Guard::None ? guard : there;
            };
            for (const std::int32_t index : own.safe)
                take(index, Guard::HeadMinimum);
            for (const std::int32_t index : own.first)
                take(index, Guard::FirstStage);
            for (std::size_t index = 0; index < ranking.scores.size(); ++index)
                ranking.scores[index] = ranking.guards[index] == Guard::None ? own.weighed[index]
                                                                             : std::numeric_limits<float>::quiet_NaN();
        }
    }
    return result;
}

MethodInfo criticalKvMethod()
{
    MethodInfo info;
    info.name = "criticalkv";
    info.title = "CriticalKV";
    info.summary = "Keeps part of the budget by another method's scores, the rest by scores times the size of what a "
                   "token adds to the output.";
    info.source = "Feng et al. 2025, arXiv 2502.03805, section 4";
    info.parameters = {
        {"scorer", ParameterInfo::Type::Text, "snapkv", "method whose scores are used, name[@preset]", 0, 0, {}},
        {"epsilon", ParameterInfo::Type::Real, "1e-4", "added to the scores before they are weighed", 0, 1e9, {}},
        {"first_share", ParameterInfo::Type::Real, "0.5", "share of the budget that is kept by the scores alone", 0, 1,
            {}},
        {"ada", ParameterInfo::Type::Boolean, "false", "budgets of the heads as adakv sets them (CriticalAdaKV)", 0, 0,
            {}},
        {"alpha", ParameterInfo::Type::Real, "0.2", "ada=true: share of the budget that every head keeps by itself", 0,
            1, {}},
        budgetRoundingParameter(),
    };
    info.presets = {
        {"kvpress", {{"scorer", "snapkv@kvpress"}, {"budget_rounding", "trunc_double"}}, "CriticalKVPress of kvpress"},
        {"kvpress-ada", {{"scorer", "snapkv@kvpress"}, {"ada", "true"}, {"budget_rounding", "trunc_double"}},
            "CriticalAdaKVPress of kvpress"},
    };
    info.wrap = [](const ParameterValues& values, const Method& inner) {
        TwoStages::Parameters parameters;
        parameters.epsilon = realValue(values, "epsilon");
        parameters.firstShare = realValue(values, "first_share");
        parameters.sharedBudget = booleanValue(values, "ada");
        parameters.alpha = realValue(values, "alpha");
        parameters.rounding = budgetRule(values);
        if (parameters.sharedBudget && inner.granularity == Granularity::Layer)
            throw MethodError(fmt::format(
                "criticalkv: scorer {} scores whole layers, expected one that scores every head with ada=true",
                inner.name));
        if (const auto norms = inner.parameters.find("vnorm");
            norms != inner.parameters.end() && norms->second == "true")
            parameters.remark = "values are weighed twice, by the scorer and by criticalkv; scorer.vnorm=false stops "
                                "the first";
        Method method;
        method.granularity = inner.granularity;
        method.scorer = std::make_shared<OutputWeightedScorer>(inner.scorer);
        method.chooser = std::make_shared<TwoStages>(std::move(parameters));
        return method;
    };
    return info;
}

} // namespace kvloupe
