// SPDX-License-Identifier: GPL-3.0-or-later

#include "app/commands/evaluate_command.h"

#include "app/commands/byte_count.h"
#include "app/commands/device_options.h"
#include "app/commands/method_options.h"
#include "app/commands/option_check.h"
#include "app/commands/run_reporter.h"
#include "app/commands/suite_options.h"
#include "app/summary_text.h"
#include "capture/adapter/adapter.h"
#include "capture/checkpoint/model_catalog.h"
#include "capture/cuda/cuda_live.h"
#include "capture/evaluation/evaluation.h"
#include "core/progress/interrupt.h"
#include "core/results/result_file.h"
#include "core/results/summary.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

namespace kvloupe {

namespace {

struct Arguments {
    std::string model;
    std::string out;
    std::string adapter;
    SuiteOptions suite;
    MethodOptions methods;
    bool chat = false;
    std::string chatTemplate;
    FirstToken firstToken = FirstToken::Auto;
    CompressSpan compressSpan = CompressSpan::Prompt;
    std::optional<std::int64_t> maxNewTokens;
    std::string thinking = "auto";
    std::vector<std::string> measures{"accuracy", "nll", "kl"};
    NumberExtraction extraction = NumberExtraction::Flexible;
    bool allowCodeExecution = false;
    DeviceOptions device;
    int threads = 0;
    std::string memory;
    std::string batchMemory;
    bool resume = false;
    bool overwrite = false;
    bool json = false;
    std::string progress = "bar";
};

EvaluationOptions evaluationOptions(const Arguments& arguments)
{
    EvaluationOptions options;
    options.model = resolveModel(arguments.model);
    options.modelName = arguments.model == options.model.string() ? std::string() : arguments.model;
    if (!arguments.adapter.empty())
        options.adapter = Adapter::read(findAdapter(arguments.adapter));
    options.suite = arguments.suite.suite;
    options.tasks = arguments.suite.tasks();
    options.items = arguments.suite.itemOptions(arguments.chat);
    options.chat = arguments.chat;
    if (!arguments.chatTemplate.empty())
        options.chatTemplate = readPromptFile(arguments.chatTemplate);
    options.methods = arguments.methods.methods();
    options.budgets = arguments.methods.budgets();
    options.decodeBudget = arguments.methods.decodeBudget();
    options.firstToken = arguments.firstToken;
    options.compressSpan = arguments.compressSpan;
    options.maxNewTokens = arguments.maxNewTokens;
    if (arguments.thinking != "auto")
        options.thinks = arguments.thinking == "yes";
    const auto wants = [&](std::string_view measure) {
        return std::ranges::find(arguments.measures, measure) != arguments.measures.end();
    };
    options.goldLikelihood = wants("nll");
    options.divergence = wants("kl");
    options.judge = {arguments.extraction, arguments.allowCodeExecution};
    options.out = arguments.out;
    options.mode = arguments.resume ? ResultStoreMode::Resume
        : arguments.overwrite       ? ResultStoreMode::Replace
                                    : ResultStoreMode::New;
    if (const auto type = arguments.device.cudaType())
        options.device = cuda::openCudaLive(*type);
    options.threads = arguments.threads;
    options.memoryLimit = byteCount(arguments.memory, "--memory");
    if (!arguments.batchMemory.empty())
        options.batchBytes = byteCount(arguments.batchMemory, "--batch-memory");
    return options;
}

void run(const Arguments& arguments)
{
    const InterruptGuard interrupt;
    RunReporter reporter(arguments.progress);
    Evaluation evaluation(evaluationOptions(arguments), reporter.events());
    if (arguments.progress != "none")
        reporter.say(
            fmt::format("{} samples, {} branches each", evaluation.samples(), evaluation.header().branches.size()));
    const EvaluationSummary done = evaluation.run();
    reporter.end();
    if (arguments.json) {
        fmt::print("{}\n",
            nlohmann::json{{"results", arguments.out}, {"samples", done.samples}, {"resumed", done.resumed},
                {"skipped", done.skipped}, {"branches", done.branches}, {"seconds", done.seconds}}
                .dump());
        return;
    }
    SummaryBuilder builder(defaultSummaryFields());
    for (const ResultRun& results : readResults(arguments.out, ResultTexts::Drop).runs)
        builder.add(results);
    fmt::print("{}\n{}: {} samples measured, {} were there already, {} beyond the context; {:.1f} s\n",
        summaryText(builder.build()), arguments.out, done.samples, done.resumed, done.skipped, done.seconds);
}

} // namespace

void addEvaluateCommand(CLI::App& program)
{
    auto arguments = std::make_shared<Arguments>();
    CLI::App* command = program.add_subcommand(
        "evaluate", "Measure what accuracy is left with compressed caches: live runs of a suite of tasks");
    command
        ->add_option("model", arguments->model,
            "GGUF file, folder in Hugging Face layout, or a name that `kvloupe models` lists")
        ->required()
        ->type_name("MODEL");
    command->add_option("--out,-o", arguments->out, "Results to write, JSON lines")
        ->required()
        ->type_name("RESULTS.jsonl");
    arguments->suite.addTo(*command);
    command->get_option("--suite")->required();
    arguments->methods.addTo(*command);
    command->add_option("--adapter", arguments->adapter, "LoRA adapter: a folder in the PEFT format, or a shipped one")
        ->type_name("DIR");
    command->add_flag("--chat", arguments->chat, "Make prompts user messages of the model's chat template");
    command->add_option("--chat-template", arguments->chatTemplate, "File with another chat template")
        ->type_name("FILE");

    const std::map<std::string, FirstToken> firstTokens{
        {"auto", FirstToken::Auto}, {"full", FirstToken::Full}, {"compressed", FirstToken::Compressed}};
    command
        ->add_option("--first-token", arguments->firstToken,
            "Cache that the first generated token comes from: full, as after any prefill; compressed, the last prompt "
            "token being processed again; auto: compressed where the answer is the first token")
        ->transform(CLI::Transformer(firstTokens))
        ->default_str("auto")
        ->type_name("auto|full|compressed");
    const std::map<std::string, CompressSpan> spans{
        {"prompt", CompressSpan::Prompt}, {"context", CompressSpan::Context}};
    command
        ->add_option("--compress-span", arguments->compressSpan,
            "What is compressed: the whole prompt, or what stands before the question")
        ->transform(CLI::Transformer(spans))
        ->default_str("prompt")
        ->type_name("prompt|context");
    command->add_option("--max-new-tokens", arguments->maxNewTokens, "Limit of a response (default: each item's own)")
        ->check(CLI::Range(std::int64_t{1}, std::int64_t{1'000'000}))
        ->type_name("N");
    command
        ->add_option("--thinking", arguments->thinking,
            "Whether the model thinks before it answers, which gives it longer limits; auto: as its adapter says")
        ->check(CLI::IsMember({"auto", "yes", "no"}))
        ->capture_default_str();
    command
        ->add_option("--measure", arguments->measures,
            "accuracy, nll (likelihood of the gold answer), kl (to the full run along its tokens)")
        ->delimiter(',')
        ->check(CLI::IsMember({"accuracy", "nll", "kl"}))
        ->default_str("accuracy,nll,kl")
        ->type_name("M,...");
    const std::map<std::string, NumberExtraction> extractions{
        {"flexible", NumberExtraction::Flexible}, {"strict", NumberExtraction::Strict}};
    command->add_option("--extraction", arguments->extraction, "How numbers are read from worked answers")
        ->transform(CLI::Transformer(extractions))
        ->default_str("flexible")
        ->type_name("flexible|strict");
    command->add_flag("--allow-code-execution", arguments->allowCodeExecution,
        "Run code that the model wrote, in an isolated process (humaneval)");
    arguments->device.addTo(*command);
    command->add_option("--threads", arguments->threads, "Threads to use (default: all cores)")
        ->check(CLI::Range(0, 4096))
        ->type_name("N");
    command
        ->add_option("--memory", arguments->memory,
            "Memory for the model (default: what is available); weights that do not fit are read from their file")
        ->check(parses([](const std::string& text) { byteCount(text, "--memory"); }))
        ->type_name("LIMIT");
    command
        ->add_option("--batch-memory", arguments->batchMemory,
            "Caches that are decoded as one batch, for example 2G (default: 4G)")
        ->check(parses([](const std::string& text) { byteCount(text, "--batch-memory"); }))
        ->type_name("BYTES");
    CLI::Option* resume = command->add_flag("--resume", arguments->resume, "Go on after the last complete sample");
    command->add_flag("--overwrite", arguments->overwrite, "Replace results that exist")->excludes(resume);
    command->add_option("--progress", arguments->progress, "bar, json or none")
        ->check(CLI::IsMember({"bar", "json", "none"}))
        ->capture_default_str();
    command->add_flag("--json", arguments->json, "Print what was done as JSON instead of a table");
    command->footer(
        "Example:\n  kvloupe evaluate smollm2-135m-instruct --suite fundamental --task ar --method snapkv --method "
        "shotkv --keep 0.5,0.3,0.1 --samples 50 --out results.jsonl");
    command->callback([arguments] {
        arguments->methods.require();
        run(*arguments);
    });
}

} // namespace kvloupe
