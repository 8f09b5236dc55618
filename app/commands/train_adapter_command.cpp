// SPDX-License-Identifier: GPL-3.0-or-later

#include "app/commands/train_adapter_command.h"

#include "app/commands/run_reporter.h"
#include "app/text_table.h"
#include "capture/checkpoint/model_catalog.h"
#include "capture/training/training_run.h"
#include "core/progress/interrupt.h"
#include "core/progress/progress.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <memory>

namespace kvloupe {

namespace {

struct Arguments {
    std::string model;
    std::string style;
    std::string out;
    TrainingOptions training;
    std::int64_t saveEvery = 20;
    std::int64_t evaluate = 0;
    bool resume = false;
    bool overwrite = false;
    bool json = false;
    std::string progress = "bar";
};

/// The command line that repeats the training, from defaults too.
std::string commandText(const Arguments& arguments)
{
    const TrainingOptions& training = arguments.training;
    return fmt::format("kvloupe train-adapter {} --style {} --out {} --steps {} --batch {} --rank {} --alpha {} "
                       "--learning-rate {} --seed {}",
        arguments.model, arguments.style, arguments.out, training.steps, training.batch, training.rank, training.alpha,
        training.learningRate, training.seed);
}

void run(const Arguments& arguments)
{
    const InterruptGuard interrupt;
    RunReporter reporter(arguments.progress);
    const RunEvents events = reporter.events();
    TrainingRunOptions options;
    options.training = arguments.training;
    options.training.style = arguments.style == "instruct" ? AdapterStyle::Instruct : AdapterStyle::Reasoning;
    options.model = resolveModel(arguments.model);
    options.modelName = arguments.model;
    options.out = arguments.out;
    options.command = commandText(arguments);
    options.saveEvery = arguments.saveEvery;
    options.evaluationItems = arguments.evaluate;
    options.resume = arguments.resume;
    options.overwrite = arguments.overwrite;
    const TrainingSummary summary = runTraining(options, {events.progress});
    reporter.end();
    if (arguments.json) {
        nlohmann::ordered_json line{{"adapter", arguments.out}, {"steps", summary.steps},
            {"resumed_at", summary.resumedAt}, {"tokens", summary.tokens}, {"first_loss", summary.firstLoss},
            {"last_loss", summary.lastLoss}, {"seconds", summary.seconds}};
        for (const TaskAccuracy& task : summary.accuracy)
            line["accuracy"].push_back(
                {{"task", task.task}, {"level", task.level}, {"samples", task.samples}, {"correct", task.correct}});
        fmt::print("{}\n", line.dump());
    } else {
        fmt::print("{}: {} steps, {} tokens, loss {:.3f} at first, {:.3f} at last, {}\n", arguments.out, summary.steps,
            summary.tokens, summary.firstLoss, summary.lastLoss, durationText(summary.seconds));
        TextTable table({"task", ">level", ">shots", ">right", ">of", ">tokens"});
        for (const TaskAccuracy& task : summary.accuracy)
            table.add({task.task, fmt::format("{}", task.level), fmt::format("{}", task.shots),
                fmt::format("{}", task.correct), fmt::format("{}", task.samples),
                fmt::format("{:.0f}", task.meanTokens)});
        if (!summary.accuracy.empty())
            fmt::print("\n{}", table.text());
    }
}

} // namespace

void addTrainAdapterCommand(CLI::App& program)
{
    auto arguments = std::make_shared<Arguments>();
    TrainingOptions& training = arguments->training;
    CLI::App* command = program.add_subcommand("train-adapter", "Teach a LoRA adapter short answers or long reasoning");
    command
        ->add_option("model", arguments->model,
            "GGUF file, folder in Hugging Face layout, or a name that `kvloupe models` lists")
        ->required()
        ->type_name("MODEL");
    command
        ->add_option("--style", arguments->style,
            "instruct: short worked answers; reasoning: long <think> traces, on the same questions")
        ->required()
        ->check(CLI::IsMember({"instruct", "reasoning"}));
    command->add_option("--out,-o", arguments->out, "Folder of the adapter (PEFT format)")
        ->required()
        ->type_name("DIR");
    command->add_option("--steps", training.steps, "Steps of training")
        ->check(CLI::Range(std::int64_t{1}, std::int64_t{1'000'000}))
        ->capture_default_str()
        ->type_name("N");
    command->add_option("--batch", training.batch, "Examples per step")
        ->check(CLI::Range(std::int64_t{1}, std::int64_t{1024}))
        ->capture_default_str()
        ->type_name("N");
    command->add_option("--rank", training.rank, "Rank of every LoRA pair")
        ->check(CLI::Range(std::int64_t{1}, std::int64_t{256}))
        ->capture_default_str()
        ->type_name("R");
    command->add_option("--alpha", training.alpha, "Pairs are scaled by alpha / rank")
        ->check(CLI::Range(0.01, 1024.0))
        ->capture_default_str()
        ->type_name("A");
    command
        ->add_option("--learning-rate", training.learningRate,
            "Of Adam, at its highest: it rises over 20 steps and falls linearly")
        ->check(CLI::Range(1e-8, 1.0))
        ->capture_default_str()
        ->type_name("LR");
    command->add_option("--seed", training.seed, "Of the examples and of the first weights")
        ->check(CLI::Range(std::uint64_t{0}, std::uint64_t{1'000'000'000}))
        ->capture_default_str()
        ->type_name("S");
    command->add_option("--save-every", arguments->saveEvery, "Steps between two saved states")
        ->check(CLI::Range(std::int64_t{1}, std::int64_t{1'000'000}))
        ->capture_default_str()
        ->type_name("N");
    command
        ->add_option("--evaluate", arguments->evaluate,
            "At the end ask N held-out items of every task with a full cache, and write down the accuracy")
        ->check(CLI::Range(std::int64_t{0}, TrainingMixture::heldOutItems))
        ->capture_default_str()
        ->type_name("N");
    command->add_option("--threads", training.threads, "Threads to use (default: all cores)")
        ->check(CLI::Range(0, 4096))
        ->type_name("N");
    CLI::Option* resume = command->add_flag("--resume", arguments->resume, "Go on from the last saved state");
    command->add_flag("--overwrite", arguments->overwrite, "Begin anew in a folder that holds something")
        ->excludes(resume);
    command->add_option("--progress", arguments->progress, "bar, json or none")
        ->check(CLI::IsMember({"bar", "json", "none"}))
        ->capture_default_str();
    command->add_flag("--json", arguments->json, "Print the result as JSON");
    command->footer("Example:\n  kvloupe train-adapter smollm2-135m-instruct --style reasoning --out my-adapter");
    command->callback([arguments] { run(*arguments); });
}

} // namespace kvloupe
