// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/methods/pyramidinfer.h"

#include "core/methods/chooser.h"
#include "core/methods/parameter_values.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>

namespace kvloupe {

double cosineShare(double decay, int layer, int numLayers)
{
    return (1.0 - decay) * (std::cos(std::numbers::pi * layer / numLayers) + 1.0) / 2.0 + decay;
}

namespace {

/// Linear from 1 for the oldest of `rows` votes to `newest`.
double rampWeight(std::int64_t row, std::int64_t rows, double newest)
{
    return rows < 2 ? 1.0 : 1.0 + (newest - 1.0) * static_cast<double>(row) / static_cast<double>(rows - 1);
}

std::int64_t recentTokens(double ratio, std::int64_t promptTokens)
{
    return static_cast<std::int64_t>(ratio * static_cast<double>(promptTokens));
}

} // namespace

PyramidPruner::PyramidPruner(Parameters parameters)
    : m_parameters(parameters)
{
}

std::int64_t PyramidPruner::votingRows(std::int64_t promptTokens) const
{
    return std::min(promptTokens, 1 + recentTokens(m_parameters.recentRatio, promptTokens));
}

double PyramidPruner::voteWeight(std::int64_t row, std::int64_t rows) const
{
    return rampWeight(row, rows, m_parameters.distanceWeight);
}

std::int64_t PyramidPruner::contextAfter(std::int64_t context, const Place& place, double decay) const
{
    const std::int64_t least = std::min(m_parameters.minContext, place.promptTokens - votingRows(place.promptTokens));
    const double share = cosineShare(decay, place.layer, place.numLayers);
    if (context <= least || share >= 1.0 || place.layer % m_parameters.interval != 0)
        return context;
    const auto kept = static_cast<std::int64_t>(static_cast<double>(context) * share);
    return kept > least ? kept : context;
}

std::vector<std::int64_t> PyramidPruner::lengths(std::int64_t promptTokens, int numLayers, double decay) const
{
    const std::int64_t rows = votingRows(promptTokens);
    std::vector<std::int64_t> result;
    std::int64_t context = promptTokens - rows;
    for (int layer = 0; layer < numLayers; ++layer) {
        result.push_back(context + rows);
        context = contextAfter(context, {layer, numLayers, promptTokens}, decay);
    }
    return result;
}

double PyramidPruner::decayFor(std::int64_t promptTokens, int numLayers, const Budget& budget) const
{
    if (m_parameters.decay)
        return *m_parameters.decay;
    // No bisection: a context that would fall to minContext is not pruned at all, so the average is not monotone in d.
    constexpr int steps = 4096;
    const std::int64_t wanted = budget.tokensKept(promptTokens) * numLayers;
    double best = 1.0;
    std::int64_t bestTotal = promptTokens * numLayers;
    for (int step = steps - 1; step >= 0; --step) {
        const double decay = static_cast<double>(step) / steps;
        const std::vector<std::int64_t> tokens = lengths(promptTokens, numLayers, decay);
        const std::int64_t total = std::accumulate(tokens.begin(), tokens.end(), std::int64_t{});
        const bool fits = total <= wanted;
        if (bestTotal > wanted ? total < bestTotal : fits && total > bestTotal) {
            best = decay;
            bestTotal = total;
        }
    }
    return best;
}

std::vector<std::int32_t> PyramidPruner::survivors(std::span<const std::int32_t> entering, std::span<const float> votes,
    const Place& place, const Budget& budget) const
{
    const std::int64_t context = std::ssize(entering) - votingRows(place.promptTokens);
    const double decay = decayFor(place.promptTokens, place.numLayers, budget);
    const std::int64_t kept = contextAfter(context, place, decay);
    if (kept >= context)
        return {entering.begin(), entering.end()};
    std::vector<std::int32_t> result;
    result.reserve(entering.size());
    for (const std::int32_t slot :
        selectTop(votes.first(static_cast<std::size_t>(context)), kept, {m_parameters.sinks, 0}))
        result.push_back(entering[static_cast<std::size_t>(slot)]);
    result.insert(result.end(), entering.begin() + context, entering.end());
    return result;
}

BlockCompression::BlockCompression(Parameters parameters)
    : m_parameters(parameters)
{
}

std::unique_ptr<DecodePolicy> BlockCompression::clone() const
{
    return std::make_unique<BlockCompression>(*this);
}

DecodeNeeds BlockCompression::needs() const
{
    DecodeNeeds needs;
    needs.attention = true;
    return needs;
}

std::vector<std::int32_t> BlockCompression::begin(const DecodeStart& start)
{
    const auto block = static_cast<double>(m_parameters.block);
    const double share = cosineShare(m_parameters.decay, start.layer, start.numLayers);
    m_recent = recentTokens(m_parameters.recentRatio, start.promptTokens);
    m_kept = std::max<std::int64_t>(1, static_cast<std::int64_t>(block * m_parameters.ratio * share));
    m_promptTokens = start.promptTokens;
    m_begin = start.promptTokens - 1; // counted back from the newest token, the first block reaches into the prompt
    m_sums.clear();
    return {};
}

DecodeVerdict BlockCompression::step(const DecodeStep& step)
{
    m_sums.resize(static_cast<std::size_t>(step.position + 1 - m_begin), 0.0);
    const auto pending = static_cast<std::size_t>(
        std::ranges::lower_bound(step.alive, static_cast<std::int32_t>(m_begin)) - step.alive.begin());
    for (std::size_t slot = pending; slot < step.alive.size(); ++slot) {
        // A block is judged by the 1 + R queries that follow it.
        const std::int64_t offset = step.alive[slot] - m_begin;
        const std::int64_t row = step.position - m_begin - (offset / m_parameters.block + 1) * m_parameters.block;
        if (row < 0)
            break;
        m_sums[static_cast<std::size_t>(offset)]
            += rampWeight(row, m_recent + 1, m_parameters.distanceWeight) * static_cast<double>(step.attention[slot]);
    }
    const std::int64_t end = m_begin + m_parameters.block;
    if (step.position != end + m_recent)
        return {};

    std::size_t held = 0;
    while (step.alive[pending + held] < end)
        ++held;
    std::vector<float> scores(held);
    for (std::size_t slot = 0; slot < held; ++slot)
        scores[slot] = static_cast<float>(
            m_sums[static_cast<std::size_t>(step.alive[pending + slot] - m_begin)] / static_cast<double>(m_recent + 1));
    DecodeVerdict verdict;
    verdict.evicted = evictedPositions(step.alive.subspan(pending, held), selectTop(scores, m_kept, {}));
    verdict.scores.assign(step.alive.size(), std::numeric_limits<float>::quiet_NaN());
    std::ranges::copy(scores, verdict.scores.begin() + static_cast<std::ptrdiff_t>(pending));
    verdict.guards.assign(step.alive.size(), Guard::None);
    for (std::size_t slot = 0; slot < step.alive.size(); ++slot)
        if (slot >= pending + held)
            verdict.guards[slot] = Guard::Recent;
        else if (slot < pending && step.alive[slot] < m_promptTokens)
            verdict.guards[slot] = Guard::Prompt;
    m_begin = end;
    m_sums.erase(m_sums.begin(), m_sums.begin() + m_parameters.block);
    return verdict;
}

MethodInfo pyramidInferMethod()
{
    using enum ParameterInfo::Type;
    MethodInfo info;
    info.name = "pyramidinfer";
    info.title = "PyramidInfer";
    info.summary = "Drops tokens on the way through the layers, so that deeper ones never see them.";
    info.source = "Yang et al. 2024, arXiv 2405.12532, section 4, and its code";
    info.fidelity = Fidelity::Approximate;
    info.parameters = {
        {"recent_ratio", Real, "0.2", "share of the prompt, rounded down and one more, that votes and stays", 0, 1, {}},
        {"decay", Real, "auto",
            "share of the context that the last layers pass on, whatever the budget; auto = what meets the budget on "
            "the average over the layers",
            0, 1, {"auto"}},
        {"min_context", Integer, "64", "a context of so many tokens is not pruned", 0, 1e9, {}},
        {"sink_len", Integer, "4", "first tokens that always stay", 0, 1e9, {}},
        {"distance_weight", Real, "1.2", "weight of the newest vote; that of the oldest is 1", 0, 1e6, {}},
        {"interval", Integer, "1", "layers from one pruning to the next", 1, 1e6, {}},
        {"phases", Choice, "both", "where the method acts; prefill: generated tokens all stay", 0, 0,
            {"both", "prefill"}},
        {"gen_block", Integer, "16", "generated tokens that are cut together", 1, 1e6, {}},
        {"gen_ratio", Real, "0.9", "share of a block that stays in layer 0", 0, 1, {}},
        {"gen_decay", Real, "0.1", "share of that in the last layers", 0, 1, {}},
    };
    info.presets = {
        {"7b", {{"decay", "0.9"}}, "the configuration shipped for 7B models, whatever the budget"},
        {"13b", {{"decay", "0.8"}, {"interval", "2"}}, "the one for 13B models"},
        {"code",
            {{"decay", "0.9"}, {"sink_len", "64"}, {"distance_weight", "1"}, {"gen_block", "1024"},
                {"gen_decay", "0.9"}},
            "the defaults of the code without a configuration"},
    };
    info.make = [](const ParameterValues& values) {
        PyramidPruner::Parameters prefill;
        prefill.recentRatio = realValue(values, "recent_ratio");
        if (values.at("decay") != "auto")
            prefill.decay = realValue(values, "decay");
        prefill.minContext = integerValue(values, "min_context");
        prefill.sinks = integerValue(values, "sink_len");
        prefill.distanceWeight = realValue(values, "distance_weight");
        prefill.interval = static_cast<int>(integerValue(values, "interval"));
        BlockCompression::Parameters decode;
        decode.recentRatio = prefill.recentRatio;
        decode.distanceWeight = prefill.distanceWeight;
        decode.block = integerValue(values, "gen_block");
        decode.ratio = realValue(values, "gen_ratio");
        decode.decay = realValue(values, "gen_decay");
        Method method;
        method.granularity = Granularity::Layer;
        method.fidelity = Fidelity::Approximate;
        method.layerPruner = std::make_shared<PyramidPruner>(prefill);
        if (values.at("phases") == "both")
            method.decodePolicy = std::make_shared<BlockCompression>(decode);
        return method;
    };
    return info;
}

} // namespace kvloupe
