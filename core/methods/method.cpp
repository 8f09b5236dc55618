// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/methods/method.h"

namespace kvloupe {

std::string_view fidelityName(Fidelity fidelity)
{
    switch (fidelity) {
    case Fidelity::Exact:
        return "exact";
    case Fidelity::Renormalised:
        return "renormalised";
    case Fidelity::Approximate:
        return "approximate";
    }
    return "";
}

EvidenceNeeds Method::needs(const PromptLayout& layout) const
{
    EvidenceNeeds needs;
    if (scorer)
        needs.merge(scorer->needs(layout));
    if (layerPruner)
        needs.merge(layerPruner->needs(layout));
    return needs;
}

Scores Method::score(const LayerEvidence& evidence, const PromptLayout& layout) const
{
    if (scorer)
        return scorer->score(evidence, layout);
    Scores scores;
    scores.granularity = Granularity::Layer;
    scores.sets = 1;
    scores.tokens = evidence.tokens;
    scores.firstPosition = evidence.firstPosition;
    return scores;
}

} // namespace kvloupe
