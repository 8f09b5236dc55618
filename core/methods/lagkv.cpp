// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/methods/lagkv.h"

#include "core/methods/chooser.h"
#include "core/methods/group_reduction.h"
#include "core/methods/parameter_values.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <span>
#include <vector>

namespace kvloupe {

LagKvScorer::LagKvScorer(Parameters parameters)
    : m_parameters(parameters)
{
}

EvidenceNeeds LagKvScorer::needs(const PromptLayout&) const
{
    EvidenceNeeds needs;
    needs.keys = true;
    needs.values = true;
    return needs;
}

namespace {

/// Adds to `scores` [lag] the softmax over a block of how much each of its vectors varies over the channels, scaled by
/// the range of each channel in the block `reference`. Both [lag, size].
void addVariation(
    std::span<const float> block, std::span<const float> reference, std::size_t size, std::span<double> scores)
{
    std::vector<double> least(size, std::numeric_limits<double>::infinity());
    std::vector<double> most(size, -std::numeric_limits<double>::infinity());
    for (std::size_t row = 0; row < reference.size(); row += size)
        for (std::size_t channel = 0; channel < size; ++channel) {
            least[channel] = std::min(least[channel], static_cast<double>(reference[row + channel]));
            most[channel] = std::max(most[channel], static_cast<double>(reference[row + channel]));
        }
    std::vector<double> deviations(scores.size());
    std::vector<double> scaled(size);
    for (std::size_t token = 0; token < scores.size(); ++token) {
        for (std::size_t channel = 0; channel < size; ++channel) {
            const double range = most[channel] - least[channel];
            const double above = static_cast<double>(block[token * size + channel]) - least[channel];
            scaled[channel] = range > 0.0 ? above / range : 0.0;
        }
        const double mean = std::accumulate(scaled.begin(), scaled.end(), 0.0) / static_cast<double>(size);
        double squares = 0.0;
        for (const double value : scaled)
            squares += (value - mean) * (value - mean);
        deviations[token] = size > 1 ? std::sqrt(squares / static_cast<double>(size - 1)) : 0.0;
    }
    const double largest = *std::ranges::max_element(deviations);
    double sum = 0.0;
    for (double& value : deviations) {
        value = std::exp(value - largest);
        sum += value;
    }
    std::ranges::transform(
        scores, deviations, scores.begin(), [sum](double score, double value) { return score + value / sum; });
}

/// Ranks from 0 for the lowest; of equal scores the earlier one ranks higher.
std::vector<std::size_t> ranks(std::span<const double> scores)
{
    std::vector<std::size_t> order(scores.size());
    std::iota(order.rbegin(), order.rend(), std::size_t{0});
    std::ranges::stable_sort(order, [&](std::size_t a, std::size_t b) { return scores[a] < scores[b]; });
    std::vector<std::size_t> ranks(scores.size());
    for (std::size_t place = 0; place < order.size(); ++place)
        ranks[order[place]] = place;
    return ranks;
}

} // namespace

Scores LagKvScorer::score(const LayerEvidence& evidence, const PromptLayout& layout) const
{
    evidence.check(needs(layout));
    const auto& [sinks, blockLength, crossScoring] = m_parameters;
    const auto lag = blockLength; // Clang before 16 lets no lambda capture a structured binding
    Scores scores = emptyScores(Granularity::KvHead, evidence);
    scores.values.assign(static_cast<std::size_t>(scores.sets * scores.tokens), std::numeric_limits<float>::infinity());

    const std::int64_t behind = evidence.tokens - sinks;
    const auto blockTokens = static_cast<std::size_t>(lag);
    const auto size = static_cast<std::size_t>(evidence.headDim);
    for (int head = 0; head < evidence.kvHeads; ++head) {
        const auto out = scores.set(head);
        if (behind < 2 * lag) {
            for (std::int64_t i = 0; i < behind; ++i)
                out[static_cast<std::size_t>(sinks + i)] = static_cast<float>(i) / static_cast<float>(behind);
            continue;
        }
        const auto rows = [&](std::span<const float> vectors, std::size_t first) {
            return vectors.subspan(first * size, blockTokens * size);
        };
        for (std::int64_t block = 0; block + 1 < behind / lag; ++block) {
            const auto first = static_cast<std::size_t>(sinks + block * lag);
            std::vector<double> sums(blockTokens, 0.0);
            for (const auto vectors : {evidence.keysOf(head), evidence.valuesOf(head)})
                addVariation(rows(vectors, first), rows(vectors, first + blockTokens), size, sums);
            const auto scored = out.subspan(first, blockTokens);
            if (crossScoring)
                std::ranges::transform(sums, scored.begin(), [](double sum) { return static_cast<float>(sum / 2.0); });
            else
                std::ranges::transform(ranks(sums), scored.begin(),
                    [&](std::size_t rank) { return static_cast<float>(rank) / static_cast<float>(lag); });
        }
    }
    return scores;
}

MethodInfo lagKvMethod()
{
    MethodInfo info;
    info.name = "lagkv";
    info.title = "LagKV";
    info.summary = "Keeps the tokens whose keys and values vary most, measured against the tokens that follow.";
    info.source = "Liang et al. 2025, arXiv 2504.04704, section 3";
    info.parameters = {
        {"n_sink", ParameterInfo::Type::Integer, "4", "first tokens that are always kept", 0, 1e9, {}},
        {"lag", ParameterInfo::Type::Integer, "128",
            "tokens per block; the last full block and what follows it are always kept", 1, 1e9, {}},
        {"cross_scoring", ParameterInfo::Type::Boolean, "false",
            "blocks compete by their scores instead of by the rank inside each block", 0, 0, {}},
        budgetRoundingParameter(),
    };
    info.presets = {
        {"kvpress", {{"budget_rounding", "trunc_double"}}, "LagKVPress of kvpress"},
    };
    info.make = [](const ParameterValues& values) {
        LagKvScorer::Parameters parameters;
        parameters.sinks = integerValue(values, "n_sink");
        parameters.lag = integerValue(values, "lag");
        parameters.crossScoring = booleanValue(values, "cross_scoring");
        Method method;
        method.granularity = Granularity::KvHead;
        method.scorer = std::make_shared<LagKvScorer>(parameters);
        method.chooser = std::make_shared<TopScores>(TopScores::Parameters{0, 0, budgetRule(values)});
        return method;
    };
    return info;
}

} // namespace kvloupe
