// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/training/adapter_evaluation.h"
#include "capture/training/adapter_trainer.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace kvloupe {

/// What `kvloupe train-adapter` is asked to do.
struct TrainingRunOptions {
    TrainingOptions training;
    std::filesystem::path model;
    std::string modelName; ///< as the user named it; the base model that the adapter says it belongs to
    std::filesystem::path out; ///< folder of the adapter
    std::string command; ///< for kvloupe_adapter.json
    std::int64_t saveEvery = 20; ///< steps between two saved states
    /// Items of each task that the finished adapter is asked; what it knows goes into kvloupe_adapter.json. 0 = none.
    std::int64_t evaluationItems = 0;
    bool resume = false;
    bool overwrite = false;
};

/// What happens on the way; may be empty.
struct TrainingRunEvents {
    /// A stage ("loading the model", "training", "asking") and its fraction in [0, 1]; false stops after the step.
    std::function<bool(std::string_view stage, double fraction)> progress;
};

struct TrainingSummary {
    std::int64_t steps = 0; ///< in all
    std::int64_t resumedAt = 0; ///< of them done before
    std::int64_t tokens = 0;
    double firstLoss = 0.0; ///< nats per answer token, mean over the first steps
    double lastLoss = 0.0; ///< the same over the last steps
    double seconds = 0.0; ///< of all steps
    std::vector<TaskAccuracy> accuracy; ///< empty when nothing was asked
};

/// Trains an adapter into a folder. Beside the three files of the adapter there are `training_state.safetensors`
/// (every `saveEvery` steps, when stopped and at the end) and `training_log.jsonl` (one line a step). The adapter is
/// written with every state, so that one that is stopped early can be tried.
///
/// Throws Cancelled when stopped, with everything saved; AdapterError when the folder holds something and neither
/// resume nor overwrite was asked for, or a state of another training; what AdapterTrainer throws.
TrainingSummary runTraining(const TrainingRunOptions& options, const TrainingRunEvents& events);

} // namespace kvloupe
