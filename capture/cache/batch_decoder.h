// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/cache/branch.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace kvloupe {

class LiveModel;

/// Advances branches of any methods, budgets and lengths together: one product with B rows for each weight matrix, one
/// task per branch and list for the attention.
///
/// Logits of a branch do not depend on what it is batched with beyond the last digits. Errors: ModelError (context
/// full, token outside the vocabulary, infinities), Cancelled; branches of a failed step are not to be used further.
class BatchDecoder {
public:
    explicit BatchDecoder(std::shared_ptr<const LiveModel> model);

    /// Branch i takes up ids[i]: logits [B, vocab] after it. No branch may be there twice. All branches are of prompts
    /// of this model.
    std::vector<float> step(std::span<Branch* const> branches, std::span<const std::int32_t> ids) const;

    /// Takes the last prompt token out of every cache and runs it again through what is left, so that promptLogits()
    /// comes from the compressed cache. Lists that had not kept it drop it afterwards. Before any step().
    void repeatLastToken(std::span<Branch* const> branches) const;

    /// Takes up tokens with which the text goes on whatever a model would say (a question behind a compressed context),
    /// the same for every branch, one by one as if they had been generated; promptLogits() is what follows the last of
    /// them.
    void feed(std::span<Branch* const> branches, std::span<const std::int32_t> ids,
        const std::function<bool(double)>& progress = {}) const;

    struct GenerateOptions {
        std::int64_t maxTokens = 0;
        std::vector<std::int64_t> maxTokensOf = {}; ///< [B] instead of maxTokens; may be empty
        std::vector<std::int32_t> eosIds = {};
        /// Sees each token as it is chosen, with the index of its branch; false ends that branch after it.
        std::function<bool(std::size_t branch, std::int32_t id)> onToken = {};
        std::function<bool(double)> progress = {}; ///< share of maxTokens done; false cancels
    };
    struct Generated {
        std::vector<std::int32_t> ids; ///< ends with one of eosIds, or is maxTokens long, or onToken ended it
        double meanTokens = 0.0; ///< cached tokens per list before each of the steps, mean over steps; 0 without any
    };
    /// The likeliest token (ties to the smaller id) of every branch again and again, beginning with promptLogits().
    /// Branches that are done leave the batch; a branch takes up all of its tokens but the last.
    std::vector<Generated> generateGreedy(std::span<Branch* const> branches, const GenerateOptions& options) const;

    struct Forced {
        std::vector<float> logProbs; ///< of each given token, nats
        std::vector<float> divergence; ///< KL(reference || branch) where each token is predicted, nats; may be empty
        double meanTokens = 0.0; ///< as above
    };
    /// Feeds given tokens, the same number to `reference` as to each other branch if one is given: distributions are
    /// compared place by place. Memory: logits of one step, B x vocab.
    std::vector<Forced> score(std::span<Branch* const> branches, std::span<const std::vector<std::int32_t>> tokens,
        std::optional<std::size_t> reference = std::nullopt, const std::function<bool(double)>& progress = {}) const;

private:
    std::vector<float> run(std::span<Branch* const> branches, std::span<const std::int32_t> ids, bool policies) const;
    static void setPromptLogits(std::span<Branch* const> branches, std::span<const float> logits);

    std::shared_ptr<const LiveModel> m_model;
};

} // namespace kvloupe
