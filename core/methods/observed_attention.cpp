// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/methods/observed_attention.h"

#include "core/methods/group_reduction.h"
#include "core/methods/parameter_values.h"

#include <algorithm>

namespace kvloupe {

MeanColumnScorer::MeanColumnScorer(Granularity granularity, GroupReduction reduction)
    : m_granularity(granularity)
    , m_reduction(reduction)
{
}

EvidenceNeeds MeanColumnScorer::needs(const PromptLayout&) const
{
    EvidenceNeeds needs;
    needs.columnSums = true;
    return needs;
}

Scores MeanColumnScorer::score(const LayerEvidence& evidence, const PromptLayout& layout) const
{
    evidence.check(needs(layout));
    HeadScores sums(evidence.queryHeads, evidence.tokens);
    std::ranges::copy(evidence.columnSums, sums.values.begin());
    ReducedScores reduced = reduceGroups(std::move(sums), m_granularity, m_reduction, evidence.kvHeads);
    for (int set = 0; set < reduced.scores.sets; ++set) {
        auto queries = static_cast<double>(evidence.tokens);
        for (double& score : reduced.scores.set(set))
            score /= queries--;
    }
    return finishedScores(reduced.scores, reduced.scale, m_granularity, evidence);
}

MethodInfo observedAttentionMethod()
{
    MethodInfo info;
    info.name = "observed_attention";
    info.title = "ObservedAttention";
    info.summary = "Keeps the tokens that received most attention per query that can see them.";
    info.source = "kvpress ObservedAttentionPress; after Zhang et al. 2023, arXiv 2306.14048";
    info.parameters = {granularityParameter("kv_head"), reductionParameter(), budgetRoundingParameter()};
    info.presets = {
        {"kvpress", {{"budget_rounding", "trunc_double"}}, "ObservedAttentionPress of kvpress"},
    };
    info.make = [](const ParameterValues& values) {
        TopScores::Parameters choice;
        choice.rounding = budgetRule(values);
        Method method;
        method.granularity = granularityValue(values, "granularity");
        method.scorer = std::make_shared<MeanColumnScorer>(method.granularity, reductionValue(values, "gqa_reduce"));
        method.chooser = std::make_shared<TopScores>(choice);
        return method;
    };
    return info;
}

} // namespace kvloupe
