// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/methods/observed_attention.h"

#include "core/methods/h2o.h"
#include "core/methods/parameter_values.h"

namespace kvloupe {

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
        method.scorer
            = std::make_shared<ColumnSumScorer>(method.granularity, reductionValue(values, "gqa_reduce"), true);
        method.chooser = std::make_shared<TopScores>(choice);
        return method;
    };
    return info;
}

} // namespace kvloupe
