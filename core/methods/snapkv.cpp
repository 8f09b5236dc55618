// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/methods/snapkv.h"

#include "core/methods/group_reduction.h"
#include "core/methods/parameter_values.h"

#include <fmt/format.h>

#include <algorithm>

namespace kvloupe {

SnapKvScorer::SnapKvScorer(Parameters parameters)
    : m_parameters(parameters)
{
    if (parameters.kernel < 1 || parameters.kernel % 2 == 0)
        throw MethodError(fmt::format("snapkv: kernel is {}, expected an odd number", parameters.kernel));
    if (parameters.window < 1)
        throw MethodError(fmt::format("snapkv: window is {}, expected at least 1", parameters.window));
}

EvidenceNeeds SnapKvScorer::needs(const PromptLayout&) const
{
    EvidenceNeeds needs;
    needs.lastRows = m_parameters.window;
    return needs;
}

std::shared_ptr<const Scorer> SnapKvScorer::withoutPooling() const
{
    Parameters unpooled = m_parameters;
    unpooled.kernel = 1;
    return std::make_shared<SnapKvScorer>(unpooled);
}

namespace {

HeadScores pooled(const HeadScores& scores, int kernel, TokenPooling pooling)
{
    HeadScores result(scores.sets, scores.tokens);
    for (int set = 0; set < scores.sets; ++set)
        poolTokens(scores.set(set), kernel, pooling, result.set(set));
    return result;
}

} // namespace

Scores SnapKvScorer::score(const LayerEvidence& evidence, const PromptLayout& layout) const
{
    evidence.check(needs(layout));
    const auto& [window, kernel, pooling, granularity, reduction, stage, windowReduction, windowTokens] = m_parameters;
    const std::int64_t rows = std::min<std::int64_t>(window, evidence.tokens);
    const std::int64_t keys = windowTokens == WindowTokens::Scored ? evidence.tokens : evidence.tokens - rows;

    HeadScores scores = lastRowSums(evidence, rows, keys);
    if (stage == GroupStage::AfterPooling)
        scores = pooled(scores, kernel, pooling);
    ReducedScores reduced = reduceGroups(std::move(scores), granularity, reduction, evidence.kvHeads);
    if (stage == GroupStage::BeforePooling)
        reduced.scores = pooled(reduced.scores, kernel, pooling);
    double divisor = pooling == TokenPooling::Average ? kernel : 1.0;
    if (windowReduction == WindowReduction::Mean)
        divisor *= static_cast<double>(std::max<std::int64_t>(rows, 1));
    return finishedScores(reduced.scores, reduced.scale / divisor, granularity, evidence);
}

std::vector<ParameterInfo> snapKvScorerParameters()
{
    return {
        {"window", ParameterInfo::Type::Integer, "32", "last prompt queries that vote; their tokens are always kept", 1,
            65536, {}},
        {"kernel", ParameterInfo::Type::Integer, "7", "tokens pooled around each token, odd", 1, 65535, {}},
        {"pool", ParameterInfo::Type::Choice, "max", "how they are pooled; avg counts padding as zeros", 0, 0,
            {"max", "avg"}},
        granularityParameter("kv_head"),
        reductionParameter(),
        {"gqa_stage", ParameterInfo::Type::Choice, "before_pool",
            "query heads are brought together before or after pooling", 0, 0, {"before_pool", "after_pool"}},
        {"window_reduce", ParameterInfo::Type::Choice, "sum",
            "how the votes of the window are brought to one score; the same ranking, but criticalkv adds to the scores",
            0, 0, {"sum", "mean"}},
    };
}

SnapKvScorer::Parameters snapKvScorerParameters(const ParameterValues& values)
{
    SnapKvScorer::Parameters parameters;
    parameters.window = static_cast<int>(integerValue(values, "window"));
    parameters.kernel = static_cast<int>(integerValue(values, "kernel"));
    parameters.pooling = poolingValue(values, "pool");
    parameters.granularity = granularityValue(values, "granularity");
    parameters.reduction = reductionValue(values, "gqa_reduce");
    parameters.stage = values.at("gqa_stage") == "after_pool" ? SnapKvScorer::GroupStage::AfterPooling
                                                              : SnapKvScorer::GroupStage::BeforePooling;
    parameters.windowReduction = values.at("window_reduce") == "mean" ? SnapKvScorer::WindowReduction::Mean
                                                                      : SnapKvScorer::WindowReduction::Sum;
    return parameters;
}

MethodInfo snapKvMethod()
{
    MethodInfo info;
    info.name = "snapkv";
    info.title = "SnapKV";
    info.summary = "Keeps what the last prompt queries look at, smoothed along the tokens, and these last tokens.";
    info.source = "Li et al. 2024, arXiv 2404.14469, section 4";
    info.parameters = snapKvScorerParameters();
    info.parameters.push_back(budgetRoundingParameter());
    info.presets = {
        {"kvpress",
            {{"window", "64"}, {"kernel", "5"}, {"pool", "avg"}, {"gqa_stage", "after_pool"}, {"window_reduce", "mean"},
                {"budget_rounding", "trunc_double"}},
            "SnapKVPress of kvpress"},
        {"kvcf", {{"window", "8"}, {"kernel", "7"}, {"pool", "max"}, {"budget_rounding", "round_half_even"}},
            "KVCache-Factory's LongBench and RULER runners with kv_head granularity"},
        {"paper", {{"window", "32"}, {"kernel", "7"}, {"pool", "max"}, {"granularity", "q_head"}},
            "the paper's LongBench runs: one set per query head"},
    };
    info.make = [](const ParameterValues& values) {
        const SnapKvScorer::Parameters parameters = snapKvScorerParameters(values);
        TopScores::Parameters choice;
        choice.rounding = budgetRule(values);

        Method method;
        method.granularity = parameters.granularity;
        method.scorer = std::make_shared<SnapKvScorer>(parameters);
        method.chooser = std::make_shared<TopScores>(choice);
        return method;
    };
    return info;
}

} // namespace kvloupe
