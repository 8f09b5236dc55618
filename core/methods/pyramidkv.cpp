// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/methods/pyramidkv.h"

#include "core/methods/parameter_values.h"
#include "core/methods/snapkv.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace kvloupe {

PyramidSchedule::Share PyramidSchedule::share(int layer, int numLayers, std::int64_t tokens, const Budget& budget) const
{
    if (kind == Kind::Kvpress)
        return doubleShare(layer, numLayers, tokens, budget.tokensUnrounded(tokens));
    return integerShare(layer, numLayers, tokens, budget.tokensKept(tokens, rounding));
}

PyramidSchedule::Share PyramidSchedule::integerShare(
    int layer, int numLayers, std::int64_t tokens, std::int64_t budget) const
{
    if (budget >= tokens || numLayers < 2)
        return {budget, {}};
    const std::int64_t own = std::min(window, tokens);
    const std::int64_t mean = budget - own; // beyond the window
    if (mean < 1)
        return {budget,
            fmt::format("a budget of {} tokens leaves nothing beyond the window of {}, so all layers keep as many",
                budget, own)};
    if (tokens < 2 * mean)
        return {budget,
            fmt::format("{} tokens are fewer than {}, twice the budget beyond the window, so all layers keep {}",
                tokens, 2 * mean, budget)};

    std::int64_t least = mean / beta;
    std::int64_t most = 2 * mean - least;
    if (most >= tokens - own) {
        most = tokens - own;
        least = 2 * mean - most;
    }
    const std::int64_t steps = numLayers - 1;
    if (kind == Kind::Kvcf)
        return {most - layer * ((most - least) / steps) + own, {}};

    // In units of 1 / steps; what rounding down loses goes to the largest remainders, to lower layers first.
    const auto scaled = [&](std::int64_t number) { return most * steps - number * (most - least); };
    std::int64_t lost = 0;
    std::int64_t before = 0;
    for (std::int64_t other = 0; other < numLayers; ++other) {
        lost += scaled(other) % steps;
        const std::int64_t lead = scaled(other) % steps - scaled(layer) % steps;
        before += lead > 0 || (lead == 0 && other < layer) ? 1 : 0;
    }
    return {scaled(layer) / steps + (before < lost / steps ? 1 : 0) + own, {}};
}

PyramidSchedule::Share PyramidSchedule::doubleShare(int layer, int numLayers, std::int64_t tokens, double budget) const
{
    // The order of operations is that of kvpress, whose rounding of halves depends on it.
    const auto all = static_cast<double>(tokens);
    const auto own = static_cast<double>(window);
    const auto rounded = [&](double count) {
        return std::clamp<std::int64_t>(
            static_cast<std::int64_t>(std::nearbyint(count)), 1, std::max<std::int64_t>(tokens, 1));
    };
    const double mean = own + budget - own;
    double least = mean / static_cast<double>(beta);
    double most = mean * 2.0 - least;
    if (most >= all - own) {
        most = all - own;
        least = mean * 2.0 - most;
    }
    if (!(all >= most && most >= least && least >= own)) {
        const std::int64_t count = rounded(budget);
        if (count >= tokens || numLayers < 2)
            return {count, {}};
        return {count,
            fmt::format(
                "from {:g} to {:g} tokens is no pyramid between all {} and the window of {}, so all layers keep "
                "{}, as in kvpress",
                most, least, tokens, window, count)};
    }
    const double step = numLayers > 1 ? (most - least) / static_cast<double>(numLayers - 1) : 0.0;
    return {rounded(most - static_cast<double>(layer) * step), {}};
}

PyramidTopScores::PyramidTopScores(PyramidSchedule schedule)
    : m_schedule(schedule)
    , m_ofLayer({})
{
}

std::vector<KeepSet> PyramidTopScores::choose(std::span<const Scores> scores, const ChoiceContext& context) const
{
    std::vector<KeepSet> result;
    for (std::size_t index = 0; index < scores.size(); ++index) {
        const auto share
            = m_schedule.share(context.layers[index], context.numLayers, scores[index].tokens, context.budget);
        if (!share.whyUniform.empty())
            context.note("pyramidkv: " + share.whyUniform);
        const Budget budget = Budget::capacity(std::max<std::int64_t>(share.tokens, 1));
        const ChoiceContext ofLayer{context.layers.subspan(index, 1), context.numLayers, context.kvHeads, budget,
            context.layout, context.sample, context.notes};
        result.push_back(std::move(m_ofLayer.choose(scores.subspan(index, 1), ofLayer).front()));
    }
    return result;
}

MethodInfo pyramidKvMethod()
{
    MethodInfo info;
    info.name = "pyramidkv";
    info.title = "PyramidKV";
    info.summary = "Ranks as SnapKV does and gives lower layers more of the budget than higher ones.";
    info.source = "Cai et al. 2024, arXiv 2406.02069, section 4";
    info.parameters = snapKvScorerParameters();
    info.parameters.push_back({"beta", ParameterInfo::Type::Integer, "20",
        "steepness: the last layer keeps about a beta-th of the mean beyond the window", 1, 1e6, {}});
    info.parameters.push_back({"schedule", ParameterInfo::Type::Choice, "kvcf",
        "kvcf: KVCache-Factory's integers, a little above the budget; exact: the same end points, layers together "
        "exactly "
        "at the budget; kvpress: its own, which is uniform unless the budget is large",
        0, 0, {"kvcf", "kvpress", "exact"}});
    info.parameters.push_back(budgetRoundingParameter());
    info.presets = {
        {"kvpress",
            {{"window", "64"}, {"kernel", "5"}, {"pool", "avg"}, {"gqa_stage", "after_pool"}, {"window_reduce", "mean"},
                {"schedule", "kvpress"}, {"budget_rounding", "trunc_double"}},
            "PyramidKVPress of kvpress"},
        {"kvcf", {{"window", "8"}, {"kernel", "7"}, {"pool", "max"}, {"budget_rounding", "round_half_even"}},
            "KVCache-Factory's LongBench and RULER runners with kv_head granularity"},
    };
    info.make = [](const ParameterValues& values) {
        const SnapKvScorer::Parameters parameters = snapKvScorerParameters(values);
        PyramidSchedule schedule;
        schedule.window = parameters.window;
        schedule.beta = integerValue(values, "beta");
        schedule.rounding = budgetRule(values);
        if (values.at("schedule") == "kvpress")
            schedule.kind = PyramidSchedule::Kind::Kvpress;
        else if (values.at("schedule") == "exact")
            schedule.kind = PyramidSchedule::Kind::Exact;

        Method method;
        method.granularity = parameters.granularity;
        method.scorer = std::make_shared<SnapKvScorer>(parameters);
        method.chooser = std::make_shared<PyramidTopScores>(schedule);
        return method;
    };
    return info;
}

} // namespace kvloupe
