// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/methods/method_registry.h"
#include "core/methods/scorer.h"

#include <cstdint>

namespace kvloupe {

/// Keeps the tokens whose keys and values vary most over the channels, measured against the block of tokens that
/// follows.
///
/// Tokens after `sinks` are cut into blocks of `lag`. In each but the last full block, with the next block as
/// reference: x = (x - min) / (max - min) per channel (0 where max = min), standard deviation over the channels,
/// softmax over the block; mean of keys and values; then the rank in the block over `lag`, in [0, 1), equal scores in
/// favour of the earlier token. Sinks, the last full block and what follows it are +infinity. With fewer than sinks + 2
/// lag tokens the score grows with the position instead. Liang et al. 2025, arXiv 2504.04704, section 3.
class LagKvScorer final : public Scorer {
public:
    struct Parameters {
        std::int64_t sinks = 4;
        std::int64_t lag = 128; ///< >= 1
        bool crossScoring = false; ///< the scores themselves instead of ranks
    };

    explicit LagKvScorer(Parameters parameters);

    EvidenceNeeds needs(const PromptLayout& layout) const override;
    Scores score(const LayerEvidence& evidence, const PromptLayout& layout) const override;

private:
    Parameters m_parameters;
};

MethodInfo lagKvMethod();

} // namespace kvloupe
