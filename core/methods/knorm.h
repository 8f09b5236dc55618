// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/methods/chooser.h"
#include "core/methods/method_registry.h"
#include "core/methods/scorer.h"

#include <string_view>
#include <vector>

namespace kvloupe {

/// Keys of small norm draw much attention: score of key k of a KV head = -|k|. Nothing is protected.
///
/// Devoto et al. 2024, arXiv 2406.11430, section 3.
class KeyNormScorer final : public Scorer {
public:
    EvidenceNeeds needs(const PromptLayout& layout) const override;
    Scores score(const LayerEvidence& evidence, const PromptLayout& layout) const override;
};

/// Layers as the user names them: "none", or numbers and ranges joined by '+', as in "0-1+7".
class LayerSelection {
public:
    /// Throws MethodError for anything else.
    explicit LayerSelection(std::string_view text);
    bool contains(int layer) const;

private:
    struct Range {
        int first = 0;
        int last = 0;
    };
    std::vector<Range> m_ranges;
};

/// Keeps the best of every set, but everything in exempt layers.
class TopOutsideLayers final : public Chooser {
public:
    TopOutsideLayers(LayerSelection exempt, BudgetRule rounding);

    ChooserScope scope() const override { return ChooserScope::Head; }
    std::vector<KeepSet> choose(std::span<const Scores> scores, const ChoiceContext& context) const override;
    std::vector<LayerRanking> rank(std::span<const Scores> scores, const ChoiceContext& context) const override;

private:
    LayerSelection m_exempt;
    TopScores m_best;
};

MethodInfo knormMethod();

} // namespace kvloupe
