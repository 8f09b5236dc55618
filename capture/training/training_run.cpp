// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/training/training_run.h"

#include "capture/adapter/adapter_files.h"
#include "capture/checkpoint/bounded_json.h"
#include "capture/checkpoint/checkpoint.h"
#include "capture/checkpoint/safetensors_writer.h"
#include "capture/model/model_error.h"
#include "capture/model/transformer.h"
#include "capture/tokenizer/tokenizer.h"
#include "capture/training/training_log.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <torch/version.h>

#include <chrono>

namespace kvloupe {

namespace {

using Clock = std::chrono::steady_clock;

/// The files of a training beside those of its adapter.
struct TrainingFiles {
    std::filesystem::path state;
    std::filesystem::path log;
};

/// Whether the folder may be written to; makes it.
void prepareFolder(const TrainingRunOptions& options, const TrainingFiles& files)
{
    std::error_code error;
    if (options.resume) {
        if (!std::filesystem::exists(files.state, error))
            throw AdapterError(
                fmt::format("{}: found no saved state, expected one to go on from; leave --resume out to begin",
                    files.state.string()));
        return;
    }
    if (!options.overwrite && std::filesystem::exists(options.out, error)
        && !std::filesystem::is_empty(options.out, error))
        throw AdapterError(fmt::format(
            "{}: exists and is not an empty folder; --resume goes on, --overwrite begins anew", options.out.string()));
    std::filesystem::create_directories(options.out, error);
    if (error)
        throw AdapterError(fmt::format("{}: cannot be made: {}", options.out.string(), error.message()));
}

nlohmann::ordered_json dataFacts(const TrainingOptions& training)
{
    nlohmann::ordered_json parts = nlohmann::ordered_json::array();
    for (const MixturePart& part : TrainingMixture::parts())
        parts.push_back({{"task", part.task}, {"level", part.level}, {"weight", part.weight}});
    return {{"suite", "fundamental"}, {"parts", std::move(parts)},
        {"answers", training.style == AdapterStyle::Instruct ? "short worked answers" : "thinking traces"},
        {"held_out", fmt::format("questions of items 0 to {} of seed 0", TrainingMixture::heldOutItems - 1)}};
}

nlohmann::ordered_json factsOf(const TrainingRunOptions& options, const AdapterTrainer& trainer, const TrainingLog& log,
    const std::string& modelSha256, const std::string& tokenizerSha256)
{
    const TrainingOptions& training = options.training;
    const bool reasons = training.style == AdapterStyle::Reasoning;
    return {{"name", adapterFolderName(options.out)}, {"style", adapterStyleName(training.style)},
        {"role", reasons ? "reasoning-adapter" : "instruct-adapter"}, {"thinks", reasons},
        {"base_model", options.modelName}, {"base_model_sha256", modelSha256}, {"tokenizer_sha256", tokenizerSha256},
        {"data", dataFacts(training)}, {"seed", training.seed}, {"steps", training.steps},
        {"steps_done", trainer.stepsDone()}, {"batch", training.batch}, {"maximum_tokens", training.maximumTokens},
        {"learning_rate", training.learningRate}, {"warm_up_steps", training.warmUpSteps},
        {"clip_norm", training.clipNorm}, {"tokens", trainer.tokens()}, {"answer_tokens", trainer.answerTokens()},
        {"loss_first_10_steps", log.firstLoss()}, {"loss_last_10_steps", log.lastLoss()}, {"seconds", log.seconds()},
        {"command", options.command}, {"versions", {{"kvloupe", KVLOUPE_VERSION}, {"libtorch", TORCH_VERSION}}}};
}

/// Asks the adapter that lies in the folder, float16 as it is, and writes down what it answered rightly.
std::vector<TaskAccuracy> evaluateAdapter(const TrainingRunOptions& options, const Checkpoint& checkpoint,
    const Tokenizer& tokenizer, const std::function<bool(std::string_view, double)>& report)
{
    LoadOptions load;
    load.threads = options.training.threads;
    load.adapter = Adapter::read(options.out);
    const auto model = Transformer::load(checkpoint, load);
    auto accuracy = measureAccuracy(*model, tokenizer, load.adapter->thinks(), options.evaluationItems,
        [&](double fraction) { return report("asking", fraction); });

    const std::filesystem::path file = options.out / adapterFactsFile;
    auto facts = nlohmann::ordered_json::parse(readSmallFile(file, 1U << 20));
    facts["accuracy"] = nlohmann::ordered_json::array();
    for (const TaskAccuracy& task : accuracy)
        facts["accuracy"].push_back(
            {{"task", task.task}, {"level", task.level}, {"shots", task.shots}, {"seed", 0}, {"samples", task.samples},
                {"correct", task.correct}, {"unfinished", task.unfinished}, {"mean_tokens", task.meanTokens}});
    writeFileAtomically(file, facts.dump(2) + "\n");
    return accuracy;
}

} // namespace

TrainingSummary runTraining(const TrainingRunOptions& options, const TrainingRunEvents& events)
{
    const auto report
        = [&](std::string_view stage, double fraction) { return !events.progress || events.progress(stage, fraction); };
    const TrainingFiles files{options.out / "training_state.safetensors", options.out / "training_log.jsonl"};
    const auto checkpoint = Checkpoint::open(options.model);
    const auto tokenizer = Tokenizer::open(options.model);
    prepareFolder(options, files);
    const std::string modelSha256 = checkpoint->sha256();
    LoadOptions load;
    load.threads = options.training.threads;
    load.progress = [&](double fraction) { return report("loading the model", fraction); };
    const auto model = Transformer::load(*checkpoint, load);

    AdapterTrainer trainer(*model, *tokenizer, modelSha256, options.training);
    if (options.resume)
        trainer.loadState(files.state);
    TrainingLog log
        = options.resume ? TrainingLog::resume(files.log, trainer.stepsDone()) : TrainingLog::begin(files.log);
    TrainingSummary summary;
    summary.resumedAt = trainer.stepsDone();

    const auto save = [&] {
        trainer.saveState(files.state);
        AdapterWeights weights = trainer.weights();
        weights.baseModel = options.modelName;
        writeAdapter(options.out, weights, factsOf(options, trainer, log, modelSha256, tokenizer->sha256()));
    };
    bool goOn = true;
    while (goOn && !trainer.done()) {
        const auto started = Clock::now();
        const TrainingStep step = trainer.step();
        log.append({step, std::chrono::duration<double>(Clock::now() - started).count()});
        goOn = report(
            "training", static_cast<double>(trainer.stepsDone()) / static_cast<double>(options.training.steps));
        if (!goOn || trainer.done() || trainer.stepsDone() % options.saveEvery == 0)
            save();
    }
    if (!goOn && !trainer.done())
        throw Cancelled(
            fmt::format("{}: stopped after step {}; --resume goes on", options.out.string(), trainer.stepsDone()));
    summary.steps = trainer.stepsDone();
    summary.tokens = trainer.tokens();
    summary.firstLoss = log.firstLoss();
    summary.lastLoss = log.lastLoss();
    summary.seconds = log.seconds();
    if (options.evaluationItems > 0)
        summary.accuracy = evaluateAdapter(options, *checkpoint, *tokenizer, report);
    return summary;
}

} // namespace kvloupe
