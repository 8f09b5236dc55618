// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/methods/method_registry.h"
#include "core/methods/scorer.h"

#include <cstdint>

namespace kvloupe {

/// A number in [0, 1) for every (seed, layer, head, position): a hash of the four (splitmix64), so that it does not
/// depend on the order of calls, the number of threads or the length of the prompt.
float randomScore(std::uint64_t seed, std::uint64_t layer, std::uint64_t head, std::uint64_t position);

/// Uniform scores: the control that every other method has to beat.
class RandomScorer final : public Scorer {
public:
    /// `sharedLayers`: all layers keep the same tokens, as kvpress with a seed does.
    RandomScorer(std::uint64_t seed, bool sharedLayers, Granularity granularity);

    EvidenceNeeds needs(const PromptLayout&) const override { return {}; }
    Scores score(const LayerEvidence& evidence, const PromptLayout& layout) const override;

private:
    std::uint64_t m_seed;
    bool m_sharedLayers;
    Granularity m_granularity;
};

MethodInfo randomMethod();

} // namespace kvloupe
