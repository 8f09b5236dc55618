// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/methods/random_shot.h"

#include "core/methods/group_reduction.h"
#include "core/methods/parameter_values.h"
#include "core/methods/random.h"
#include "core/methods/shotkv.h"
#include "core/methods/whole_shots.h"

namespace kvloupe {

RandomShotScorer::RandomShotScorer(std::uint64_t seed, bool sharedLayers)
    : m_seed(seed)
    , m_sharedLayers(sharedLayers)
{
}

Scores RandomShotScorer::score(const LayerEvidence& evidence, const PromptLayout& layout) const
{
    evidence.check(needs(layout));
    const ShotUnits shots = ShotUnits::of(layout, true, "random_shot");
    const auto layer = static_cast<std::uint64_t>(m_sharedLayers ? 0 : evidence.layer);
    Scores scores = emptyScores(Granularity::Layer, evidence);
    for (std::int64_t token = 0; token < evidence.tokens; ++token) {
        const std::int32_t unit = shots.unitOf[static_cast<std::size_t>(token + evidence.firstPosition)];
        const std::int64_t begin = shots.units[static_cast<std::size_t>(unit)].begin;
        scores.values.push_back(randomScore(m_seed, layer, 0, static_cast<std::uint64_t>(begin)));
    }
    return scores;
}

MethodInfo randomShotMethod()
{
    MethodInfo info;
    info.name = "random_shot";
    info.title = "Random Shot";
    info.summary = "Keeps whole few-shot examples at random: the control of ShotKV.";
    info.source = "Liu et al. 2025, arXiv 2502.01941, section 5";
    info.parameters = {
        {"seed", ParameterInfo::Type::Integer, "0", "another number, another draw", 0, 9e15, {}},
        {"shared_layers", ParameterInfo::Type::Boolean, "true", "all layers keep the same examples", 0, 0, {}},
    };
    for (auto& parameters : {wholeShotsParameters(), shotPhaseParameters()})
        info.parameters.insert(info.parameters.end(), parameters.begin(), parameters.end());
    info.presets = {
        {"prefill-only", {{"phases", "prefill"}}, "generated tokens all stay"},
    };
    info.make = [](const ParameterValues& values) {
        Method method;
        setShotPhases(method, values,
            std::make_shared<RandomShotScorer>(
                static_cast<std::uint64_t>(integerValue(values, "seed")), booleanValue(values, "shared_layers")),
            std::make_shared<WholeShots>("random_shot", wholeShotsValues(values)));
        return method;
    };
    return info;
}

} // namespace kvloupe
