// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/methods/keydiff.h"

#include "core/methods/group_reduction.h"
#include "core/methods/parameter_values.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace kvloupe {

namespace {

double norm(std::span<const double> vector)
{
    return std::sqrt(std::inner_product(vector.begin(), vector.end(), vector.begin(), 0.0));
}

} // namespace

std::vector<float> keyDifferences(std::span<const float> keys, int headDim, std::span<const std::int32_t> rows)
{
    const auto size = static_cast<std::size_t>(headDim);
    std::vector<double> units(rows.size() * size); // keys divided by their norms
    std::vector<double> anchor(size, 0.0);
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const auto unit = std::span(units).subspan(i * size, size);
        std::ranges::copy(keys.subspan(static_cast<std::size_t>(rows[i]) * size, size), unit.begin());
        const double length = norm(unit);
        for (std::size_t channel = 0; channel < size; ++channel) {
            unit[channel] = length > 0.0 ? unit[channel] / length : 0.0;
            anchor[channel] += unit[channel];
        }
    }
    const double length = norm(anchor); // of a multiple of the mean, which has the same direction
    std::vector<float> differences(rows.size(), 0.0F);
    for (std::size_t i = 0; i < rows.size() && length > 0.0; ++i) {
        const auto unit = std::span(units).subspan(i * size, size);
        const double product = std::inner_product(unit.begin(), unit.end(), anchor.begin(), 0.0);
        differences[i] = static_cast<float>(-product / length);
    }
    return differences;
}

KeyDifferenceScorer::KeyDifferenceScorer(bool handsKeysOn)
    : m_handsKeysOn(handsKeysOn)
{
}

EvidenceNeeds KeyDifferenceScorer::needs(const PromptLayout&) const
{
    EvidenceNeeds needs;
    needs.keys = true;
    return needs;
}

Scores KeyDifferenceScorer::score(const LayerEvidence& evidence, const PromptLayout& layout) const
{
    evidence.check(needs(layout));
    Scores scores = emptyScores(Granularity::KvHead, evidence);
    std::vector<std::int32_t> all(static_cast<std::size_t>(evidence.tokens));
    std::iota(all.begin(), all.end(), 0);
    for (int head = 0; head < evidence.kvHeads; ++head) {
        const std::vector<float> values = keyDifferences(evidence.keysOf(head), evidence.headDim, all);
        scores.values.insert(scores.values.end(), values.begin(), values.end());
    }
    if (m_handsKeysOn) {
        scores.vectors.assign(evidence.keys.begin(), evidence.keys.end());
        scores.vectorDim = evidence.headDim;
    }
    return scores;
}

KeyDifferenceBlocks::KeyDifferenceBlocks(std::int64_t block, BudgetRule rounding)
    : m_block(block)
    , m_rounding(rounding)
{
}

KeyDifferenceBlocks::Outcome KeyDifferenceBlocks::run(const Scores& layer, int set, std::int64_t count) const
{
    const auto perSet = static_cast<std::size_t>(layer.tokens * layer.vectorDim);
    const auto keys = std::span(layer.vectors).subspan(perSet * static_cast<std::size_t>(set), perSet);
    Outcome outcome;
    outcome.kept.resize(static_cast<std::size_t>(count));
    std::iota(outcome.kept.begin(), outcome.kept.end(), 0);
    outcome.lastScores.assign(static_cast<std::size_t>(layer.tokens), std::numeric_limits<float>::quiet_NaN());
    for (std::int64_t begin = count; begin < layer.tokens; begin += m_block) {
        std::vector<std::int32_t> held = outcome.kept;
        for (std::int64_t index = begin; index < std::min(begin + m_block, layer.tokens); ++index)
            held.push_back(static_cast<std::int32_t>(index));
        const std::vector<float> scores = keyDifferences(keys, layer.vectorDim, held);
        for (std::size_t i = 0; i < held.size(); ++i)
            outcome.lastScores[static_cast<std::size_t>(held[i])] = scores[i];
        outcome.kept.clear();
        for (const std::int32_t place : selectTop(scores, count, {}))
            outcome.kept.push_back(held[static_cast<std::size_t>(place)]);
    }
    return outcome;
}

std::vector<KeepSet> KeyDifferenceBlocks::choose(std::span<const Scores> scores, const ChoiceContext& context) const
{
    std::vector<KeepSet> result;
    for (const Scores& layer : scores) {
        const std::int64_t count = context.budget.tokensKept(layer.tokens, m_rounding);
        KeepSet& keep = result.emplace_back(KeepSet{layer.granularity, {}});
        for (int set = 0; set < layer.sets; ++set)
            keep.sets.push_back(run(layer, set, count).kept);
    }
    return result;
}

std::vector<LayerRanking> KeyDifferenceBlocks::rank(std::span<const Scores> scores, const ChoiceContext& context) const
{
    std::vector<LayerRanking> result;
    for (const Scores& layer : scores) {
        const std::int64_t count = context.budget.tokensKept(layer.tokens, m_rounding);
        LayerRanking& ranking = result.emplace_back();
        for (int set = 0; set < layer.sets; ++set)
            ranking.sets.push_back({run(layer, set, count).lastScores,
                std::vector<Guard>(static_cast<std::size_t>(layer.tokens), Guard::None)});
    }
    return result;
}

MethodInfo keyDiffMethod()
{
    MethodInfo info;
    info.name = "keydiff";
    info.title = "KeyDiff";
    info.summary = "Keeps the keys that point elsewhere than the average key.";
    info.source = "Park et al. 2025, arXiv 2504.15364, section 3";
    info.parameters = {
        {"block_size", ParameterInfo::Type::Integer, "0",
            "0: all keys at once; else the prompt is taken in blocks of so many tokens and cut after each", 0, 1e9, {}},
        budgetRoundingParameter(),
    };
    info.presets = {
        {"kvpress", {{"budget_rounding", "trunc_double"}}, "KeyDiffPress of kvpress: all keys at once"},
        {"kvpress-block", {{"block_size", "128"}, {"budget_rounding", "trunc_double"}},
            "BlockPress(KeyDiffPress) of kvpress: blocks of 128 tokens, on the states of a full prefill"},
        {"paper", {{"block_size", "128"}}, "the paper's blocks of 128 tokens, on the states of a full prefill"},
    };
    info.make = [](const ParameterValues& values) {
        const std::int64_t block = integerValue(values, "block_size");
        Method method;
        method.granularity = Granularity::KvHead;
        method.scorer = std::make_shared<KeyDifferenceScorer>(block > 0);
        if (block > 0)
            method.chooser = std::make_shared<KeyDifferenceBlocks>(block, budgetRule(values));
        else
            method.chooser = std::make_shared<TopScores>(TopScores::Parameters{0, 0, budgetRule(values)});
        return method;
    };
    return info;
}

} // namespace kvloupe
