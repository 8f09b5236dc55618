// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/methods/simlayerkv.h"

#include "core/methods/group_reduction.h"
#include "core/methods/parameter_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace kvloupe {

LastQueriesScorer::LastQueriesScorer(std::int64_t queries)
    : m_queries(queries)
{
}

EvidenceNeeds LastQueriesScorer::needs(const PromptLayout&) const
{
    EvidenceNeeds needs;
    needs.lastRows = m_queries;
    return needs;
}

Scores LastQueriesScorer::score(const LayerEvidence& evidence, const PromptLayout& layout) const
{
    evidence.check(needs(layout));
    const std::int64_t rows = std::min(m_queries, evidence.tokens);
    HeadScores sums = lastRowSums(evidence, rows, evidence.tokens - rows);
    const ReducedScores reduced
        = reduceGroups(std::move(sums), Granularity::Layer, GroupReduction::Mean, evidence.kvHeads);
    const auto queries = static_cast<double>(std::max<std::int64_t>(rows, 1));
    return finishedScores(reduced.scores, reduced.scale / queries, Granularity::Layer, evidence);
}

LazyLayers::LazyLayers(Parameters parameters)
    : m_parameters(parameters)
{
    if (parameters.recent <= parameters.last)
        throw MethodError(fmt::format(
            "simlayerkv: n_recent is {}, expected more than n_last, which is {}", parameters.recent, parameters.last));
}

bool LazyLayers::isLazy(const Scores& layer) const
{
    const auto& [threshold, initial, recent, last] = m_parameters;
    if (threshold >= 1.0 || layer.tokens <= initial + recent + last)
        return false;
    const auto attention = layer.set(0).first(static_cast<std::size_t>(layer.tokens - last));
    const auto sum = [](std::span<const float> values) { return std::accumulate(values.begin(), values.end(), 0.0); };
    return sum(attention.first(static_cast<std::size_t>(initial)))
        + sum(attention.last(static_cast<std::size_t>(recent)))
        > threshold;
}

std::vector<KeepSet> LazyLayers::choose(std::span<const Scores> scores, const ChoiceContext& context) const
{
    const auto& [threshold, initial, recent, last] = m_parameters;
    context.note(
        fmt::format("simlayerkv has no budget: lazy layers keep their first {} and newest {} tokens, all other "
                    "layers everything",
            initial, recent - last));
    std::vector<KeepSet> result;
    for (const Scores& layer : scores) {
        if (threshold < 1.0 && layer.tokens <= initial + recent + last)
            context.note(fmt::format("simlayerkv cuts no layer of {} tokens or less; this one has {}",
                initial + recent + last, layer.tokens));
        const std::int64_t count = isLazy(layer) ? initial + recent - last : layer.tokens;
        result.push_back(layerKeepSet(selectEnds(layer.tokens, count, {initial, layer.tokens}), context.kvHeads));
    }
    return result;
}

std::vector<LayerRanking> LazyLayers::rank(std::span<const Scores> scores, const ChoiceContext& context) const
{
    std::vector<LayerRanking> result;
    for (const Scores& layer : scores) {
        const auto tokens = static_cast<std::size_t>(layer.tokens);
        SetRanking ranking{{}, std::vector<Guard>(tokens, Guard::Layer)};
        if (isLazy(layer)) {
            const auto initial = static_cast<std::ptrdiff_t>(m_parameters.initial);
            const auto recent = static_cast<std::ptrdiff_t>(m_parameters.recent - m_parameters.last);
            std::fill(ranking.guards.begin(), ranking.guards.begin() + initial, Guard::Sink);
            std::fill(ranking.guards.begin() + initial, ranking.guards.end() - recent, Guard::None);
            std::fill(ranking.guards.end() - recent, ranking.guards.end(), Guard::Recent);
        }
        result.push_back({std::vector<SetRanking>(static_cast<std::size_t>(context.kvHeads), ranking), false});
    }
    return result;
}

MethodInfo simLayerKvMethod()
{
    MethodInfo info;
    info.name = "simlayerkv";
    info.title = "SimLayerKV";
    info.summary = "Cuts layers that look at their first and newest tokens only to these and keeps the others whole; "
                   "takes no budget.";
    info.source = "Zhang et al. 2024, arXiv 2410.13846; kvpress SimLayerKVPress";
    info.parameters = {
        {"threshold", ParameterInfo::Type::Real, "0.9",
            "attention on the first and newest tokens above which a layer is lazy; 1 = none is", 0, 1, {}},
        {"n_initial", ParameterInfo::Type::Integer, "4", "first tokens that lazy layers keep", 0, 1e9, {}},
        {"n_recent", ParameterInfo::Type::Integer, "1024",
            "newest tokens looked at; lazy layers keep n_recent - n_last of them", 2, 1e9, {}},
        {"n_last", ParameterInfo::Type::Integer, "1", "last prompt queries whose attention is looked at", 1, 65536, {}},
    };
    info.presets = {
        {"kvpress", {{"threshold", "1"}}, "SimLayerKVPress of kvpress, whose default cuts nothing: set threshold"},
        {"llama3", {{"threshold", "0.9"}}, "threshold that kvpress recommends for Llama 3"},
        {"llama2", {{"threshold", "0.65"}}, "for Llama 2"},
        {"mistral", {{"threshold", "0.8"}}, "for Mistral"},
        {"qwen", {{"threshold", "0.85"}}, "for Qwen"},
    };
    info.make = [](const ParameterValues& values) {
        LazyLayers::Parameters parameters;
        parameters.threshold = realValue(values, "threshold");
        parameters.initial = integerValue(values, "n_initial");
        parameters.recent = integerValue(values, "n_recent");
        parameters.last = integerValue(values, "n_last");

        Method method;
        method.granularity = Granularity::Layer;
        method.scorer = std::make_shared<LastQueriesScorer>(parameters.last);
        method.chooser = std::make_shared<LazyLayers>(parameters);
        return method;
    };
    return info;
}

} // namespace kvloupe
