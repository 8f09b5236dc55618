// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/evaluation/response.h"
#include "core/methods/budget.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace kvloupe {

class LiveModel;
class LivePrompt;

/// One method at one budget.
struct BranchRequest {
    std::size_t method = 0; ///< of LivePrompt::methods()
    Budget budget;
};

struct PromptRunOptions {
    std::optional<Budget> decodeBudget; ///< of generated tokens; none = as the prompt
    /// Behind a compressed context: tokens that every branch takes up before it answers.
    std::vector<std::int32_t> question;
    /// The last prompt token is processed again through what the cut left, so that the first generated token comes from
    /// the compressed cache. Not together with `question`, which has that effect anyway.
    bool repeatLastToken = false;

    std::int64_t maxTokens = 0; ///< of a response, at least 1
    std::vector<std::int32_t> eosIds;
    std::vector<std::string> stops;
    std::function<std::string(std::int32_t)> bytesOf; ///< of a token

    std::vector<std::int32_t> gold; ///< tokens whose likelihood is measured; may be empty
    bool divergence = true; ///< KL to the first branch along its tokens

    /// Branches that are decoded as one batch: as many as fit into this many bytes, at least one. Another number
    /// changes the last digits of logits.
    std::uint64_t batchBytes = std::uint64_t{4} << 30;
    std::function<bool(double)> progress = {}; ///< fraction done; false cancels
};

struct BranchRun {
    std::vector<double> keptPerLayer; ///< [layers] tokens after the cut, mean over lists
    double keptShare = 1.0; ///< of the tokens that were compressed, over all lists
    std::vector<std::int32_t> ids;
    std::string text;
    ResponseEnd end = ResponseEnd::Length;
    double meanTokens = 0.0; ///< cached tokens per list, mean over the steps of the generation
    double goldLogProbability = 0.0; ///< nats, sum over gold
    std::optional<double> divergence; ///< KL(first branch || this) in nats per token; none for the first
    double seconds = 0.0; ///< of the batch it was part of, from the cut to the last measure
};

/// Cuts the branches out of one prefill and measures each: greedy response, likelihood of the gold answer, divergence
/// from the first branch. `prompt` is one of `model`.
///
/// Memory: twice the caches of a batch. Errors: ModelError, MethodError, Cancelled.
std::vector<BranchRun> runBranches(std::shared_ptr<const LiveModel> model, const LivePrompt& prompt,
    std::span<const BranchRequest> requests, const PromptRunOptions& options);

} // namespace kvloupe
