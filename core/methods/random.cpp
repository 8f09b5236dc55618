// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/methods/random.h"

#include "core/methods/group_reduction.h"
#include "core/methods/parameter_values.h"

namespace kvloupe {

namespace {

/// One step of splitmix64 (Steele, Lea and Flood 2014).
std::uint64_t mixed(std::uint64_t value)
{
    value += 0x9e37'79b9'7f4a'7c15ULL;
    value = (value ^ (value >> 30)) * 0xbf58'476d'1ce4'e5b9ULL;
    value = (value ^ (value >> 27)) * 0x94d0'49bb'1331'11ebULL;
    return value ^ (value >> 31);
}

} // namespace

float randomScore(std::uint64_t seed, std::uint64_t layer, std::uint64_t head, std::uint64_t position)
{
    const std::uint64_t bits = mixed(mixed(mixed(mixed(seed) ^ layer) ^ head) ^ position);
    return static_cast<float>(bits >> 40) * 0x1p-24F;
}

RandomScorer::RandomScorer(std::uint64_t seed, bool sharedLayers, Granularity granularity)
    : m_seed(seed)
    , m_sharedLayers(sharedLayers)
    , m_granularity(granularity)
{
}

Scores RandomScorer::score(const LayerEvidence& evidence, const PromptLayout& layout) const
{
    evidence.check(needs(layout));
    Scores scores = emptyScores(m_granularity, evidence);
    scores.values.resize(static_cast<std::size_t>(scores.sets * scores.tokens));
    const auto layer = static_cast<std::uint64_t>(m_sharedLayers ? 0 : evidence.layer);
    for (int set = 0; set < scores.sets; ++set) {
        auto position = static_cast<std::uint64_t>(evidence.firstPosition);
        for (float& value : scores.set(set))
            value = randomScore(m_seed, layer, static_cast<std::uint64_t>(set), position++);
    }
    return scores;
}

MethodInfo randomMethod()
{
    MethodInfo info;
    info.name = "random";
    info.title = "Random";
    info.summary = "Keeps tokens at random: the control.";
    info.source = "control; kvpress RandomPress";
    info.parameters = {
        {"seed", ParameterInfo::Type::Integer, "0", "another number, another draw", 0, 9e15, {}},
        {"shared_layers", ParameterInfo::Type::Boolean, "false", "all layers keep the same tokens", 0, 0, {}},
        granularityParameter("kv_head"),
        budgetRoundingParameter(),
    };
    info.presets = {
        {"kvpress", {{"budget_rounding", "trunc_double"}}, "RandomPress of kvpress without a seed (other draws)"},
        {"kvpress-seeded", {{"shared_layers", "true"}, {"budget_rounding", "trunc_double"}},
            "RandomPress of kvpress with a seed: all layers alike (other draws)"},
    };
    info.make = [](const ParameterValues& values) {
        TopScores::Parameters choice;
        choice.rounding = budgetRule(values);
        Method method;
        method.granularity = granularityValue(values, "granularity");
        method.scorer = std::make_shared<RandomScorer>(static_cast<std::uint64_t>(integerValue(values, "seed")),
            booleanValue(values, "shared_layers"), method.granularity);
        method.chooser = std::make_shared<TopScores>(choice);
        return method;
    };
    return info;
}

} // namespace kvloupe
