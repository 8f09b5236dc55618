// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/methods/shotkv.h"

#include "core/methods/group_reduction.h"
#include "core/methods/parameter_values.h"
#include "core/methods/whole_shots.h"

#include <algorithm>
#include <limits>

namespace kvloupe {

ShotAttentionScorer::ShotAttentionScorer(Observation observation, std::int64_t window)
    : m_observation(observation)
    , m_window(window)
{
}

std::int64_t ShotAttentionScorer::rows(const PromptLayout& layout) const
{
    constexpr std::int64_t smallestSuffix = 8;
    const std::int64_t suffix = layout.promptTokens() - layout.lastShotEnd();
    const bool bySuffix = m_observation == Observation::Suffix && !layout.shots().empty() && suffix >= smallestSuffix;
    return bySuffix ? suffix : m_window;
}

EvidenceNeeds ShotAttentionScorer::needs(const PromptLayout& layout) const
{
    EvidenceNeeds needs;
    needs.columnSums = m_observation == Observation::AllSum || m_observation == Observation::AllMean;
    if (!needs.columnSums)
        needs.lastRows = rows(layout);
    return needs;
}

Scores ShotAttentionScorer::score(const LayerEvidence& evidence, const PromptLayout& layout) const
{
    evidence.check(needs(layout));
    HeadScores sums(1, evidence.tokens);
    const auto out = sums.set(0);
    const auto add = [&](std::span<const float> attention) {
        std::ranges::transform(
            out, attention, out.begin(), [](double sum, float value) { return sum + static_cast<double>(value); });
    };
    if (needs(layout).columnSums) {
        for (int head = 0; head < evidence.queryHeads; ++head)
            add(evidence.columnSum(head));
    } else {
        const std::int64_t used = std::min(rows(layout), evidence.tokens);
        for (int head = 0; head < evidence.queryHeads; ++head)
            for (std::int64_t row = evidence.lastRowCount - used; row < evidence.lastRowCount; ++row)
                add(evidence.lastRow(head, row));
    }
    if (m_observation == Observation::AllMean)
        for (std::int64_t token = 0; token < evidence.tokens; ++token)
            out[static_cast<std::size_t>(token)] /= static_cast<double>(evidence.tokens - token);
    return finishedScores(sums, 1.0, Granularity::Layer, evidence);
}

GeneratedTokens::GeneratedTokens(Parameters parameters)
    : m_parameters(parameters)
{
}

std::unique_ptr<DecodePolicy> GeneratedTokens::clone() const
{
    return std::make_unique<GeneratedTokens>(*this);
}

DecodeNeeds GeneratedTokens::needs() const
{
    DecodeNeeds needs;
    needs.attention = true;
    return needs;
}

std::vector<std::int32_t> GeneratedTokens::begin(const DecodeStart& start)
{
    m_budget = start.decodeBudget != nullptr ? std::optional(*start.decodeBudget) : std::nullopt;
    m_capacity = start.capacity;
    m_promptTokens = start.promptTokens;
    m_sums.clear();
    return {};
}

std::int64_t GeneratedTokens::tokensKept(std::int64_t generated) const
{
    if (m_budget)
        return m_budget->tokensKept(generated, m_parameters.rounding);
    if (m_promptTokens == 0)
        return generated;
    return std::clamp<std::int64_t>(m_capacity * generated / m_promptTokens, 1, generated);
}

DecodeVerdict GeneratedTokens::step(const DecodeStep& step)
{
    DecodeVerdict verdict;
    const auto prompt = static_cast<std::size_t>(
        std::ranges::lower_bound(step.alive, static_cast<std::int32_t>(m_promptTokens)) - step.alive.begin());
    const std::size_t held = step.alive.size() - prompt;
    m_sums.resize(held, 0.0);
    for (std::size_t slot = 0; slot < held; ++slot)
        m_sums[slot]
            = (m_parameters.cumulative ? m_sums[slot] : 0.0) + static_cast<double>(step.attention[prompt + slot]);

    const std::int64_t generated = step.position - m_promptTokens + 1;
    const std::int64_t count = tokensKept(generated);
    if (generated <= m_parameters.warmup || generated % m_parameters.interval != 0
        || static_cast<std::int64_t>(held) <= count)
        return verdict;

    std::vector<float> scores(held);
    std::ranges::transform(m_sums, scores.begin(), [](double sum) { return static_cast<float>(sum); });
    verdict = cutToBest(step.alive.subspan(prompt), scores, count, m_parameters.recent);
    verdict.scores.insert(verdict.scores.begin(), prompt, std::numeric_limits<float>::quiet_NaN());
    verdict.guards.insert(verdict.guards.begin(), prompt, Guard::Prompt);
    auto next = verdict.evicted.begin();
    std::size_t stays = 0;
    for (std::size_t slot = 0; slot < held; ++slot) {
        if (next != verdict.evicted.end() && *next == step.alive[prompt + slot])
            ++next;
        else
            m_sums[stays++] = m_sums[slot];
    }
    m_sums.resize(stays);
    return verdict;
}

std::vector<ParameterInfo> shotPhaseParameters()
{
    using enum ParameterInfo::Type;
    return {
        {"phases", Choice, "both", "where the method acts: on the prompt, on generated tokens, or on both", 0, 0,
            {"both", "prefill", "decode"}},
        {"decode_alpha", Choice, "current",
            "what ranks generated tokens: attention of the current query, or of all queries since they were generated",
            0, 0, {"current", "cumulative"}},
        {"decode_keep_recent", Integer, "1", "newest generated tokens that are safe, inside the budget", 0, 1e9, {}},
        {"decode_warmup", Integer, "0", "generated tokens before the first of them is evicted", 0, 1e9, {}},
        {"decode_interval", Integer, "1", "generated tokens from one eviction to the next", 1, 1e9, {}},
        budgetRoundingParameter(),
    };
}

void setShotPhases(Method& method, const ParameterValues& values, std::shared_ptr<const Scorer> scorer,
    std::shared_ptr<const Chooser> chooser)
{
    const std::string& phases = values.at("phases");
    method.granularity = Granularity::Layer;
    if (phases == "decode") {
        method.chooser = std::make_shared<KeepAll>();
    } else {
        method.scorer = std::move(scorer);
        method.chooser = std::move(chooser);
    }
    if (phases == "prefill")
        return;
    GeneratedTokens::Parameters decode;
    decode.cumulative = values.at("decode_alpha") == "cumulative";
    decode.recent = integerValue(values, "decode_keep_recent");
    decode.warmup = integerValue(values, "decode_warmup");
    decode.interval = integerValue(values, "decode_interval");
    decode.rounding = budgetRule(values);
    method.decodePolicy = std::make_shared<GeneratedTokens>(decode);
}

MethodInfo shotKvMethod()
{
    using enum ParameterInfo::Type;
    MethodInfo info;
    info.name = "shotkv";
    info.title = "ShotKV";
    info.summary = "Keeps whole few-shot examples by the attention they receive; while decoding, the generated tokens "
                   "that the current query looks at.";
    info.source = "Liu et al. 2025, arXiv 2502.01941, section 5.1";
    info.parameters = {
        {"version", Choice, "layerwise",
            "layerwise: every layer ranks the examples for itself (ICML 2026); model: one ranking by the sum over the "
            "layers (first arXiv version), generated tokens per layer still",
            0, 0, {"layerwise", "model"}},
        {"obs", Choice, "suffix",
            "queries whose attention counts: after the last example (fewer than 8: as window), the last obs_window, or "
            "all of the prompt, summed or divided by the queries that see a token",
            0, 0, {"suffix", "window", "all_sum", "all_mean"}},
        {"obs_window", Integer, "32", "last prompt queries that count with obs=window", 1, 65536, {}},
    };
    for (auto& parameters : {wholeShotsParameters(), shotPhaseParameters()})
        info.parameters.insert(info.parameters.end(), parameters.begin(), parameters.end());
    info.presets = {
        {"v1", {{"version", "model"}}, "the first arXiv version: one set of examples for the whole model"},
        {"prefill-only", {{"phases", "prefill"}}, "the paper's ablation: generated tokens all stay"},
        {"decode-only", {{"phases", "decode"}}, "the other half of it: the prompt stays whole"},
    };
    info.make = [](const ParameterValues& values) {
        using Observation = ShotAttentionScorer::Observation;
        const std::string& obs = values.at("obs");
        const Observation observation = obs == "window" ? Observation::Window
            : obs == "all_sum"                          ? Observation::AllSum
            : obs == "all_mean"                         ? Observation::AllMean
                                                        : Observation::Suffix;
        WholeShots::Parameters choice = wholeShotsValues(values);
        choice.wholeModel = values.at("version") == "model";
        Method method;
        setShotPhases(method, values,
            std::make_shared<ShotAttentionScorer>(observation, integerValue(values, "obs_window")),
            std::make_shared<WholeShots>("shotkv", choice));
        return method;
    };
    return info;
}

} // namespace kvloupe
