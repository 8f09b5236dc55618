// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/methods/decode_policy.h"
#include "core/methods/method_registry.h"
#include "core/methods/scorer.h"

namespace kvloupe {

/// Score of a token: attention of the last prompt query, mean over all query heads of the layer. Oren et al. 2024,
/// arXiv 2401.06104, section 3.2.
class LastQueryScorer final : public Scorer {
public:
    /// With `protectLast` the last token, which is the query itself, scores +infinity.
    explicit LastQueryScorer(bool protectLast);

    EvidenceNeeds needs(const PromptLayout& layout) const override;
    Scores score(const LayerEvidence& evidence, const PromptLayout& layout) const override;

private:
    bool m_protectLast;
};

/// The same rule after every generated token: what the newest query looks at least leaves, and that may be the newest
/// token itself.
class LastQueryPolicy final : public DecodePolicy {
public:
    explicit LastQueryPolicy(bool protectLast);

    std::unique_ptr<DecodePolicy> clone() const override;
    Granularity granularity() const override { return Granularity::Layer; }
    DecodeNeeds needs() const override;
    std::vector<std::int32_t> begin(const DecodeStart& start) override;
    DecodeVerdict step(const DecodeStep& step) override;

private:
    bool m_protectLast;
    std::int64_t m_capacity = 0;
};

MethodInfo tovaMethod();

} // namespace kvloupe
