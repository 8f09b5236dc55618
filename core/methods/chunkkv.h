// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/methods/chooser.h"
#include "core/methods/method_registry.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace kvloupe {

/// Keeps runs of neighbouring tokens together: the prompt is cut into chunks of equal length from its first token on,
/// and whole chunks are kept or dropped, the same ones for all heads of a layer. Token scores are summed over the sets
/// of the layer. Liu et al. 2025, arXiv 2502.00299, section 3.
class WholeChunks final : public Chooser {
public:
    enum class Rule {
        /// What the scorer protects (infiniteEnds) is kept first and counts in the budget; of the chunks between, the
        /// best that still fit are taken, chunks that do not fit are skipped. Never above the budget.
        Tokens,
        /// kvpress: the budget is a share of the chunks, protected tokens score 1 more than the best token of the
        /// layer, or protectedScore, and compete as part of their chunks. The number of tokens is met up to a chunk.
        Chunks,
        /// The paper's Algorithm 1: the best floor(n / chunk) chunks, of these the first n - window tokens, and the
        /// last `window` tokens. What is missing then is filled up from the next best chunk.
        Paper,
    };
    enum class Aggregation { Mean, Sum }; ///< of a chunk's tokens; differs for the last, shorter chunk only
    struct Parameters {
        Rule rule = Rule::Tokens;
        std::int64_t chunk = 10; ///< >= 1
        Aggregation aggregation = Aggregation::Mean;
        std::int64_t window = 0; ///< newest tokens kept by Rule::Paper
        std::optional<float> protectedScore; ///< Rule::Chunks
        int reuseLayers = 1; ///< groups of so many layers keep what the first of the group keeps; >= 1
        BudgetRule rounding;
    };

    /// `inner` chooses for prompts shorter than a chunk; not used by Rule::Paper.
    WholeChunks(Parameters parameters, std::shared_ptr<const Chooser> inner);

    ChooserScope scope() const override
    {
        return m_parameters.reuseLayers > 1 ? ChooserScope::Model : ChooserScope::Head;
    }
    /// Throws MethodError if layers are reused and the first of a group was not recorded or holds other tokens.
    std::vector<KeepSet> choose(std::span<const Scores> scores, const ChoiceContext& context) const override;
    /// Every token by the score of its chunk.
    std::vector<LayerRanking> rank(std::span<const Scores> scores, const ChoiceContext& context) const override;

private:
    struct Chunk {
        std::int64_t begin = 0;
        std::int64_t end = 0;
        double score = 0.0;
    };
    /// Chunks of [begin, end) of the grid that starts at 0, in order, scored by `tokens` [T].
    std::vector<Chunk> chunksOf(std::span<const double> tokens, std::int64_t begin, std::int64_t end) const;
    bool isShort(const Scores& layer) const;
    std::int64_t chunkBudget(const Budget& budget, std::int64_t tokens, std::int64_t chunks) const;
    std::vector<std::int32_t> chooseTokens(const Scores& layer, const ChoiceContext& context) const;
    std::vector<std::int32_t> chooseChunks(const Scores& layer, const ChoiceContext& context) const;
    std::vector<std::int32_t> choosePaper(const Scores& layer, const ChoiceContext& context) const;
    std::size_t leaderOf(std::span<const Scores> scores, const ChoiceContext& context, std::size_t index) const;

    Parameters m_parameters;
    std::shared_ptr<const Chooser> m_inner;
};

MethodInfo chunkKvMethod();

} // namespace kvloupe
