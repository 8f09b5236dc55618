// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/methods/tova.h"

#include "core/methods/group_reduction.h"
#include "core/methods/parameter_values.h"

#include <algorithm>

namespace kvloupe {

LastQueryScorer::LastQueryScorer(bool protectLast)
    : m_protectLast(protectLast)
{
}

EvidenceNeeds LastQueryScorer::needs(const PromptLayout&) const
{
    EvidenceNeeds needs;
    needs.lastRows = 1;
    return needs;
}

Scores LastQueryScorer::score(const LayerEvidence& evidence, const PromptLayout& layout) const
{
    evidence.check(needs(layout));
    const bool protects = m_protectLast && evidence.tokens > 0;
    HeadScores row(evidence.queryHeads, evidence.tokens - (protects ? 1 : 0));
    for (int head = 0; head < evidence.queryHeads && evidence.lastRowCount > 0; ++head) {
        const auto out = row.set(head);
        std::copy_n(evidence.lastRow(head, evidence.lastRowCount - 1).begin(), out.size(), out.begin());
    }
    const ReducedScores reduced
        = reduceGroups(std::move(row), Granularity::Layer, GroupReduction::Mean, evidence.kvHeads);
    return finishedScores(reduced.scores, reduced.scale, Granularity::Layer, evidence);
}

LastQueryPolicy::LastQueryPolicy(bool protectLast)
    : m_protectLast(protectLast)
{
}

std::unique_ptr<DecodePolicy> LastQueryPolicy::clone() const
{
    return std::make_unique<LastQueryPolicy>(*this);
}

DecodeNeeds LastQueryPolicy::needs() const
{
    DecodeNeeds needs;
    needs.attention = true;
    return needs;
}

std::vector<std::int32_t> LastQueryPolicy::begin(const DecodeStart& start)
{
    m_capacity = start.capacity;
    return {};
}

DecodeVerdict LastQueryPolicy::step(const DecodeStep& step)
{
    if (static_cast<std::int64_t>(step.alive.size()) <= m_capacity)
        return {};
    return cutToBest(step.alive, step.attention, m_capacity, m_protectLast ? 1 : 0);
}

MethodInfo tovaMethod()
{
    MethodInfo info;
    info.name = "tova";
    info.title = "TOVA";
    info.summary = "Keeps what the newest query looks at, the same tokens for all heads of a layer.";
    info.source = "Oren et al. 2024, arXiv 2401.06104, section 3.2";
    info.parameters = {
        {"phase", ParameterInfo::Type::Choice, "prefill_once",
            "prefill_once: generated tokens all stay; every_step: one token leaves for each that is generated", 0, 0,
            {"prefill_once", "every_step"}},
        {"protect_last", ParameterInfo::Type::Boolean, "false",
            "the newest token is kept whatever attention it gives itself", 0, 0, {}},
        budgetRoundingParameter(),
    };
    info.presets = {
        {"kvpress", {{"protect_last", "true"}, {"budget_rounding", "trunc_double"}}, "TOVAPress of kvpress: one cut"},
        {"paper", {{"phase", "every_step"}}, "the paper and its code: cuts back after every token"},
    };
    info.make = [](const ParameterValues& values) {
        const bool protectLast = booleanValue(values, "protect_last");
        TopScores::Parameters choice;
        choice.rounding = budgetRule(values);
        Method method;
        method.granularity = Granularity::Layer;
        method.scorer = std::make_shared<LastQueryScorer>(protectLast);
        method.chooser = std::make_shared<TopScores>(choice);
        if (values.at("phase") == "every_step")
            method.decodePolicy = std::make_shared<LastQueryPolicy>(protectLast);
        return method;
    };
    return info;
}

} // namespace kvloupe
