// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/methods/finch.h"

#include "core/methods/group_reduction.h"
#include "core/methods/parameter_values.h"

#include <algorithm>
#include <optional>

namespace kvloupe {

namespace {

/// Tokens from the beginning of the question to the end of the prompt; nothing if the layout does not tell.
std::optional<std::int64_t> questionTokens(const PromptLayout& layout)
{
    std::optional<std::int64_t> begin;
    for (const Span& span : layout.spans())
        if (span.kind == SpanKind::Question && span.begin < std::min(span.end, layout.promptTokens()))
            begin = std::max(begin.value_or(0), span.begin);
    if (!begin && !layout.shots().empty() && layout.lastShotEnd() < layout.promptTokens())
        begin = layout.lastShotEnd();
    if (!begin)
        return std::nullopt;
    return layout.promptTokens() - *begin;
}

} // namespace

QuestionScorer::QuestionScorer(Parameters parameters)
    : m_parameters(parameters)
{
}

EvidenceNeeds QuestionScorer::needs(const PromptLayout& layout) const
{
    EvidenceNeeds needs;
    needs.lastRows = questionTokens(layout).value_or(1); // score() tells what is wrong with a prompt without a question
    return needs;
}

Scores QuestionScorer::score(const LayerEvidence& evidence, const PromptLayout& layout) const
{
    const auto question = questionTokens(layout);
    if (!question)
        throw MethodError(
            "finch: the prompt has no question, expected a span of kind question or tokens after the last few-shot "
            "example; name them with --spans, or record with capture --shot-separator");
    evidence.check(needs(layout));
    const std::int64_t rows = std::min(*question, evidence.tokens);
    const std::int64_t keys = evidence.tokens - rows;

    HeadScores sums(evidence.queryHeads, keys);
    for (int head = 0; head < evidence.queryHeads; ++head) {
        const auto out = sums.set(head);
        for (std::int64_t row = 0; row < rows; ++row) {
            const auto attention = evidence.lastRow(head, evidence.lastRowCount - rows + row);
            const double before = m_parameters.normalize ? static_cast<double>(keys + row) : 1.0;
            for (std::size_t key = 0; key < out.size(); ++key)
                out[key] += before * static_cast<double>(attention[key]);
        }
    }
    const ReducedScores reduced
        = reduceGroups(std::move(sums), m_parameters.granularity, m_parameters.reduction, evidence.kvHeads);
    const auto queries = static_cast<double>(std::max<std::int64_t>(rows, 1));
    return finishedScores(reduced.scores, reduced.scale / queries, m_parameters.granularity, evidence);
}

TopScoresOfChunks::TopScoresOfChunks(std::int64_t chunk, BudgetRule rounding)
    : m_chunk(chunk)
    , m_ofChunk({0, 0, rounding})
{
}

namespace {

/// What is left of `layer` when only `count` tokens from `first` on are looked at.
Scores partOf(const Scores& layer, std::int64_t first, std::int64_t count)
{
    Scores part;
    part.granularity = layer.granularity;
    part.sets = layer.sets;
    part.tokens = count;
    part.firstPosition = layer.firstPosition + first;
    for (int set = 0; set < layer.sets; ++set) {
        const auto scores = layer.set(set).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count));
        part.values.insert(part.values.end(), scores.begin(), scores.end());
    }
    return part;
}

} // namespace

KeepSet TopScoresOfChunks::chooseLayer(const Scores& layer, const ChoiceContext& context) const
{
    KeepSet keep{layer.granularity, {}};
    for (std::int64_t first = 0; first < layer.tokens; first += m_chunk) {
        const Scores part = partOf(layer, first, std::min(m_chunk, layer.tokens - first));
        const Budget share = context.budget.kind() == BudgetKind::Capacity ? Budget::capacity(std::max<std::int64_t>(
                                 1, context.budget.tokensKept(layer.tokens) * part.tokens / layer.tokens))
                                                                           : context.budget;
        const ChoiceContext ofChunk{
            context.layers, context.numLayers, context.kvHeads, share, context.layout, context.sample, context.notes};
        const KeepSet chosen = m_ofChunk.choose(std::span(&part, 1), ofChunk).front();
        keep.sets.resize(chosen.sets.size());
        for (std::size_t set = 0; set < chosen.sets.size(); ++set)
            for (const std::int32_t index : chosen.sets[set])
                keep.sets[set].push_back(static_cast<std::int32_t>(first) + index);
    }
    return keep;
}

std::vector<KeepSet> TopScoresOfChunks::choose(std::span<const Scores> scores, const ChoiceContext& context) const
{
    std::vector<KeepSet> result;
    for (const Scores& layer : scores)
        result.push_back(chooseLayer(layer, context));
    return result;
}

MethodInfo finchMethod()
{
    MethodInfo info;
    info.name = "finch";
    info.title = "FINCH";
    info.summary = "Keeps what the question at the end of the prompt looks at, and the question.";
    info.source = "Corallo and Papotti 2024, TACL, doi 10.1162/tacl_a_00716; kvpress FinchPress";
    info.parameters = {
        {"normalize", ParameterInfo::Type::Boolean, "true",
            "attention counts times the number of tokens before the query, as late queries spread theirs more", 0, 0,
            {}},
        {"chunk", ParameterInfo::Type::Integer, "0",
            "every chunk of so many tokens is cut to its share of the budget on its own; 0 = the prompt as a whole", 0,
            1e9, {}},
        {"pos_mode", ParameterInfo::Type::Choice, "rerotate",
            "where kept keys stand in a live cache: at their own positions, or moved together; no effect on a replay",
            0, 0, {"keep", "rerotate"}},
        granularityParameter("kv_head"),
        reductionParameter(),
        budgetRoundingParameter(),
    };
    info.presets = {
        {"kvpress", {{"budget_rounding", "trunc_double"}}, "FinchPress of kvpress"},
    };
    info.make = [](const ParameterValues& values) {
        QuestionScorer::Parameters parameters;
        parameters.normalize = booleanValue(values, "normalize");
        parameters.granularity = granularityValue(values, "granularity");
        parameters.reduction = reductionValue(values, "gqa_reduce");

        Method method;
        method.granularity = parameters.granularity;
        method.positions = values.at("pos_mode") == "rerotate" ? PositionMode::Rerotate : PositionMode::Keep;
        method.scorer = std::make_shared<QuestionScorer>(parameters);
        if (const std::int64_t chunk = integerValue(values, "chunk"); chunk > 0)
            method.chooser = std::make_shared<TopScoresOfChunks>(chunk, budgetRule(values));
        else
            method.chooser = std::make_shared<TopScores>(TopScores::Parameters{0, 0, budgetRule(values)});
        return method;
    };
    return info;
}

} // namespace kvloupe
