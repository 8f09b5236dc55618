// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace kvloupe {

class Tokenizer;
class Transformer;

/// How many items of a task a model answers rightly with a full cache.
struct TaskAccuracy {
    std::string task;
    int level = 0;
    int shots = 0;
    std::int64_t samples = 0;
    std::int64_t correct = 0;
    std::int64_t unfinished = 0; ///< responses that the limit of new tokens ended
    double meanTokens = 0.0; ///< of a response
};

/// Asks the first `samples` items (at most TrainingMixture::heldOutItems: no training has seen them) of seed 0 of every
/// task and level of the mixture as `evaluate` asks them by default: plain prompts, the task's own shots, greedy.
/// Prompts are prefilled one by one and decoded in batches of at most 20.
///
/// `thinks`: gives responses the longer limits. Throws ModelError, TaskError, Cancelled.
std::vector<TaskAccuracy> measureAccuracy(const Transformer& model, const Tokenizer& tokenizer, bool thinks,
    std::int64_t samples, const std::function<bool(double)>& progress = {});

} // namespace kvloupe
