// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/methods/chooser.h"
#include "core/methods/method_registry.h"
#include "core/methods/scorer.h"

namespace kvloupe {

/// Keeps what the question looks at, and the question. The question begins with the last span of that kind, without one
/// after the last few-shot example, and reaches to the end of the prompt.
///
/// Score of a key before the question: mean over the question's queries of A[q, k] times the number of tokens before q,
/// so that a query counts by how much it looked at a key compared with looking at all alike; reduced over the group.
/// The question's own tokens score +infinity. Corallo and Papotti 2024, TACL (10.1162/tacl_a_00716); FinchPress of
/// kvpress.
class QuestionScorer final : public Scorer {
public:
    struct Parameters {
        bool normalize = true; ///< times the number of tokens before the query
        Granularity granularity = Granularity::KvHead;
        GroupReduction reduction = GroupReduction::Mean;
    };

    explicit QuestionScorer(Parameters parameters);

    EvidenceNeeds needs(const PromptLayout& layout) const override;
    /// Throws MethodError for a prompt without a question.
    Scores score(const LayerEvidence& evidence, const PromptLayout& layout) const override;

private:
    Parameters m_parameters;
};

/// TopScores in every chunk of `chunk` tokens on its own, each with its share of the budget.
class TopScoresOfChunks final : public Chooser {
public:
    TopScoresOfChunks(std::int64_t chunk, BudgetRule rounding);

    ChooserScope scope() const override { return ChooserScope::Head; }
    std::vector<KeepSet> choose(std::span<const Scores> scores, const ChoiceContext& context) const override;

private:
    KeepSet chooseLayer(const Scores& layer, const ChoiceContext& context) const;

    std::int64_t m_chunk;
    TopScores m_ofChunk;
};

MethodInfo finchMethod();

} // namespace kvloupe
