// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/methods/method_registry.h"
#include "core/methods/scorer.h"

#include <cstdint>

namespace kvloupe {

/// Every few-shot example gets a number by chance, randomScore(seed, layer, 0, its first position), and so does every
/// run of tokens between them.
class RandomShotScorer final : public Scorer {
public:
    /// `sharedLayers`: all layers keep the same examples.
    RandomShotScorer(std::uint64_t seed, bool sharedLayers);

    EvidenceNeeds needs(const PromptLayout&) const override { return {}; }
    Scores score(const LayerEvidence& evidence, const PromptLayout& layout) const override;

private:
    std::uint64_t m_seed;
    bool m_sharedLayers;
};

MethodInfo randomShotMethod();

} // namespace kvloupe
