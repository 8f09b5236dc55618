// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/methods/h2o.h"

#include "core/methods/group_reduction.h"
#include "core/methods/parameter_values.h"

#include <algorithm>

namespace kvloupe {

ColumnSumScorer::ColumnSumScorer(Granularity granularity, GroupReduction reduction)
    : m_granularity(granularity)
    , m_reduction(reduction)
{
}

EvidenceNeeds ColumnSumScorer::needs(const PromptLayout&) const
{
    EvidenceNeeds needs;
    needs.columnSums = true;
    return needs;
}

Scores ColumnSumScorer::score(const LayerEvidence& evidence, const PromptLayout& layout) const
{
    evidence.check(needs(layout));
    HeadScores sums(evidence.queryHeads, evidence.tokens);
    std::ranges::copy(evidence.columnSums, sums.values.begin());
    const ReducedScores reduced = reduceGroups(std::move(sums), m_granularity, m_reduction, evidence.kvHeads);
    return finishedScores(reduced.scores, reduced.scale, m_granularity, evidence);
}

MethodInfo h2oMethod()
{
    MethodInfo info;
    info.name = "h2o";
    info.title = "H2O";
    info.summary = "Keeps the heavy hitters, tokens that received most attention so far, and the most recent tokens.";
    info.source = "Zhang et al. 2023, arXiv 2306.14048, section 4";
    info.parameters = {
        {"variant", ParameterInfo::Type::Choice, "prefill",
            "prefill: one cut after the prompt, half of the budget recent; kvcf: KVCache-Factory's fixed window", 0, 0,
            {"prefill", "kvcf"}},
        {"recent", ParameterInfo::Type::Integer, "auto",
            "recent tokens kept; half = half of the budget, rounded down; auto = half, or 8 with variant=kvcf", 0, 1e9,
            {"auto", "half"}},
        granularityParameter("kv_head"),
        reductionParameter(),
        budgetRoundingParameter(),
    };
    info.presets = {
        {"kvcf", {{"variant", "kvcf"}, {"recent", "8"}, {"budget_rounding", "round_half_even"}},
            "KVCache-Factory since June 2026: sums over all causal queries, 8 recent tokens"},
    };
    info.make = [](const ParameterValues& values) {
        const Granularity granularity = granularityValue(values, "granularity");
        std::string recent = values.at("recent");
        if (recent == "auto")
            recent = values.at("variant") == "kvcf" ? "8" : "half";

        TopScores::Parameters choice;
        choice.rounding = budgetRule(values);
        if (recent == "half")
            choice.recentDivisor = 2;
        else
            choice.recent = integerValue({{"recent", recent}}, "recent");

        Method method;
        method.parameters["recent"] = recent;
        method.granularity = granularity;
        method.scorer = std::make_shared<ColumnSumScorer>(granularity, reductionValue(values, "gqa_reduce"));
        method.chooser = std::make_shared<TopScores>(choice);
        return method;
    };
    return info;
}

} // namespace kvloupe
