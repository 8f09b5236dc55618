// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/methods/method.h"

#include "core/methods/group_reduction.h"

#include <algorithm>
#include <utility>

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
    return needs;
}

Fidelity Method::fidelityWhileDecoding() const
{
    const bool reads = decodePolicy && decodePolicy->needs().any();
    return reads ? std::max(fidelity, Fidelity::Renormalised) : fidelity;
}

std::optional<Method> Method::withoutPooling() const
{
    std::shared_ptr<const Scorer> unpooled = scorer ? scorer->withoutPooling() : nullptr;
    if (!unpooled)
        return std::nullopt;
    Method method = *this;
    method.scorer = std::move(unpooled);
    return method;
}

Scores Method::score(const LayerEvidence& evidence, const PromptLayout& layout) const
{
    if (scorer)
        return scorer->score(evidence, layout);
    return emptyScores(granularity, evidence);
}

} // namespace kvloupe
