// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/recorder/capture_session.h"
#include "capture/tasks/task.h"
#include "core/methods/budget.h"
#include "core/methods/method.h"
#include "core/results/result_store.h"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace kvloupe {

class Adapter;
class LiveDevice;

/// Which cache the first generated token is read from. Auto: the full one, as methods that choose after the prefill
/// leave it; for tasks that answer at once (Task::Info::answersAtOnce) the compressed one, since they would never feel
/// the cut.
enum class FirstToken { Auto, Full, Compressed };
/// What is compressed and what a budget is a share of: the whole prompt, or what stands before the question, which then
/// comes token by token.
enum class CompressSpan { Prompt, Context };

/// What `kvloupe evaluate` is asked to do.
struct EvaluationOptions {
    std::filesystem::path model;
    std::string modelName; ///< as the user named it
    std::shared_ptr<const Adapter> adapter; ///< may be null

    std::string suite;
    std::vector<const Task*> tasks; ///< of the suite, in the order they are run
    TaskOptions items; ///< `chat` is set from the one below
    bool chat = false;
    std::string chatTemplate; ///< overrides the model's

    std::vector<Method> methods; ///< the full cache is always measured too, first
    std::vector<Budget> budgets;
    std::optional<Budget> decodeBudget;
    FirstToken firstToken = FirstToken::Auto;
    CompressSpan compressSpan = CompressSpan::Prompt;

    std::optional<std::int64_t> maxNewTokens; ///< none = each item's own limit
    std::optional<bool> thinks; ///< the model thinks before it answers: longer limits; none = as the adapter says
    bool goldLikelihood = true;
    bool divergence = true;
    JudgeOptions judge;

    std::filesystem::path out;
    ResultStoreMode mode = ResultStoreMode::New;
    std::shared_ptr<LiveDevice> device; ///< null = the CPU
    int threads = 0; ///< 0 = all cores
    std::uint64_t memoryLimit = 0; ///< see CaptureOptions
    std::uint64_t batchBytes = std::uint64_t{4} << 30; ///< see PromptRunOptions
};

struct EvaluationSummary {
    std::int64_t samples = 0; ///< measured now
    std::int64_t resumed = 0; ///< that were there already
    std::int64_t skipped = 0; ///< of the measured ones: prompts beyond the context
    std::int64_t branches = 0;
    double seconds = 0.0;
};

/// Live compressed runs of a suite: every prompt is prefilled once, every method at every budget is cut from that
/// prefill, all are decoded together, and the rows of a sample are appended in one write.
///
/// The constructor finds what is wrong with options, data and model before anything is written. Errors: TaskError,
/// CheckpointError, TokenizerError, PromptError, MethodError (naming the sample), ResultsError, ModelError.
class Evaluation {
public:
    Evaluation(EvaluationOptions options, RunEvents events);
    ~Evaluation();

    /// Samples of all tasks.
    std::int64_t samples() const;
    const RunHeader& header() const;
    /// Measures what is not in the results yet. Cancelled by events.progress: finished samples stay, Cancelled is
    /// thrown.
    EvaluationSummary run();

private:
    struct State;
    std::unique_ptr<State> m_state;
};

} // namespace kvloupe
