// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/methods/streaming_llm.h"

#include "core/methods/parameter_values.h"

#include <algorithm>

namespace kvloupe {

namespace {

/// `count` of `tokens` tokens, all of them protected: the rule for a budget that is smaller than the protection
/// decides. The newest token, which has just been generated, always stays.
std::vector<std::int32_t> twoEnds(std::int64_t tokens, std::int64_t count, std::int64_t sinks)
{
    return selectEnds(tokens, count, {sinks, tokens});
}

} // namespace

SinksAndRecent::SinksAndRecent(std::int64_t sinks, BudgetRule rounding)
    : m_sinks(sinks)
    , m_rounding(rounding)
{
}

std::vector<KeepSet> SinksAndRecent::choose(std::span<const Scores> scores, const ChoiceContext& context) const
{
    std::vector<KeepSet> result;
    for (const Scores& layer : scores) {
        const std::int64_t count = context.budget.tokensKept(layer.tokens, m_rounding);
        // A budget of just the sinks is no shortage: nothing is left for recent tokens.
        const std::int64_t recent = count == m_sinks ? 0 : layer.tokens;
        result.push_back(layerKeepSet(selectEnds(layer.tokens, count, {m_sinks, recent}), context.kvHeads));
    }
    return result;
}

namespace {

/// Guards of tokens of which `kept` (indices, ascending) were taken: the first `sinks` as sinks, the rest as recent.
std::vector<Guard> endGuards(std::int64_t tokens, std::span<const std::int32_t> kept, std::int64_t sinks)
{
    std::vector<Guard> guards(static_cast<std::size_t>(tokens), Guard::None);
    for (const std::int32_t index : kept)
        guards[static_cast<std::size_t>(index)] = index < sinks ? Guard::Sink : Guard::Recent;
    return guards;
}

} // namespace

std::vector<LayerRanking> SinksAndRecent::rank(std::span<const Scores> scores, const ChoiceContext& context) const
{
    std::vector<LayerRanking> result;
    for (const KeepSet& keep : choose(scores, context)) {
        LayerRanking& layer = result.emplace_back();
        for (const auto& set : keep.sets)
            layer.sets.push_back({{}, endGuards(scores[result.size() - 1].tokens, set, m_sinks)});
    }
    return result;
}

SlidingWindow::SlidingWindow(std::int64_t sinks)
    : m_sinks(sinks)
{
}

std::unique_ptr<DecodePolicy> SlidingWindow::clone() const
{
    return std::make_unique<SlidingWindow>(*this);
}

std::vector<std::int32_t> SlidingWindow::begin(const DecodeStart& start)
{
    m_capacity = start.capacity;
    return {};
}

DecodeVerdict SlidingWindow::step(const DecodeStep& step)
{
    DecodeVerdict verdict;
    const auto held = static_cast<std::int64_t>(step.alive.size());
    if (held <= m_capacity)
        return verdict;
    const auto kept = twoEnds(held, m_capacity, m_sinks);
    verdict.guards = endGuards(held, kept, m_sinks);
    verdict.evicted = evictedPositions(step.alive, kept);
    return verdict;
}

MethodInfo streamingLlmMethod()
{
    MethodInfo info;
    info.name = "streaming_llm";
    info.title = "StreamingLLM";
    info.summary = "Keeps the first tokens (attention sinks) and the most recent ones.";
    info.source = "Xiao et al. 2023, arXiv 2309.17453, section 3.2";
    info.parameters = {
        {"n_sink", ParameterInfo::Type::Integer, "4", "first tokens that are always kept", 0, 1e9, {}},
        {"phase", ParameterInfo::Type::Choice, "prefill_once",
            "prefill_once: generated tokens all stay; every_step: the window slides while decoding", 0, 0,
            {"prefill_once", "every_step"}},
        {"pos_mode", ParameterInfo::Type::Choice, "keep",
            "where kept keys stand in a live cache: at their own positions, or moved together; no effect on a replay",
            0, 0, {"keep", "rerotate"}},
        budgetRoundingParameter(),
    };
    info.presets = {
        {"kvpress", {{"budget_rounding", "trunc_double"}}, "StreamingLLMPress of kvpress: one cut, 4 sinks"},
        {"kvcf", {{"budget_rounding", "round_half_even"}}, "KVCache-Factory's LongBench runner: window = capacity - 4"},
        {"paper", {{"phase", "every_step"}, {"pos_mode", "rerotate"}},
            "the paper and its code: slides with every token, keys moved together"},
    };
    info.make = [](const ParameterValues& values) {
        const std::int64_t sinks = integerValue(values, "n_sink");
        Method method;
        method.granularity = Granularity::Layer;
        method.positions = values.at("pos_mode") == "rerotate" ? PositionMode::Rerotate : PositionMode::Keep;
        method.chooser = std::make_shared<SinksAndRecent>(sinks, budgetRule(values));
        if (values.at("phase") == "every_step")
            method.decodePolicy = std::make_shared<SlidingWindow>(sinks);
        return method;
    };
    return info;
}

} // namespace kvloupe
