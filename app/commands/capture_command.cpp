// SPDX-License-Identifier: GPL-3.0-or-later

#include "app/commands/capture_command.h"

#include "app/commands/byte_count.h"
#include "app/commands/device_options.h"
#include "app/commands/run_reporter.h"
#include "app/commands/suite_options.h"
#include "capture/adapter/adapter.h"
#include "capture/checkpoint/model_catalog.h"
#include "capture/cuda/cuda_capture.h"
#include "capture/model/model_weights.h"
#include "capture/recorder/capture_session.h"
#include "capture/recorder/item_prompt.h"
#include "core/progress/interrupt.h"
#include "core/prompt/span_json.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>
#include <map>
#include <memory>
#include <optional>

namespace kvloupe {

namespace {

/// What the options of the command line are bound to.
struct Arguments {
    std::string model;
    std::string out;
    std::optional<std::string> prompt;
    std::string promptFile;
    std::string promptLines;
    std::string ids;
    SuiteOptions suite;
    std::string record;
    std::vector<std::string> with;
    std::string layers;
    std::vector<std::string> heads;
    std::string decodeRows = "all";
    std::string compression = "fast";
    bool chat = false;
    std::string chatTemplate;
    std::string spans = "auto";
    std::string shotSeparator;
    std::string adapter;
    std::string role;
    DeviceOptions device;
    std::int64_t generate = 0;
    int threads = 0;
    std::string memory;
    bool estimate = false;
    bool resume = false;
    bool overwrite = false;
    bool noMerge = false;
    bool json = false;
    std::string progress = "bar";
};

int number(std::string_view text, std::string_view option)
{
    int value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value < 0) {
        throw PromptError(fmt::format("{}: found \"{}\", expected a whole number from 0 on", option, text));
    }
    return value;
}

std::vector<std::string_view> split(std::string_view text, char separator)
{
    std::vector<std::string_view> parts;
    while (true) {
        const std::size_t at = text.find(separator);
        parts.push_back(text.substr(0, at));
        if (at == std::string_view::npos) {
            return parts;
        }
        text.remove_prefix(at + 1);
    }
}

/// "0-5,8" to 0 1 2 3 4 5 8.
std::vector<int> layerList(const std::string& text)
{
    std::vector<int> layers;
    if (text.empty()) {
        return layers;
    }
    for (const std::string_view part : split(text, ',')) {
        const auto ends = split(part, '-');
        const int first = number(ends.front(), "--layers");
        const int last = number(ends.back(), "--layers");
        if (ends.size() > 2 || last < first || last - first > 100'000) {
            throw PromptError(fmt::format("--layers: found \"{}\", expected layers such as 0-5,8", part));
        }
        for (int layer = first; layer <= last; ++layer) {
            layers.push_back(layer);
        }
    }
    std::sort(layers.begin(), layers.end());
    layers.erase(std::unique(layers.begin(), layers.end()), layers.end());
    return layers;
}

/// "5:3" "20:7" to {5: [3], 20: [7]}.
std::map<int, std::vector<int>> headMap(const std::vector<std::string>& pairs)
{
    std::map<int, std::vector<int>> result;
    for (const std::string& pair : pairs) {
        const auto parts = split(pair, ':');
        if (parts.size() != 2) {
            throw PromptError(fmt::format("--heads: found \"{}\", expected LAYER:HEAD such as 5:3", pair));
        }
        result[number(parts[0], "--heads")].push_back(number(parts[1], "--heads"));
    }
    for (auto& [layer, heads] : result) {
        std::sort(heads.begin(), heads.end());
        heads.erase(std::unique(heads.begin(), heads.end()), heads.end());
    }
    return result;
}

std::int64_t decodeRowLimit(const std::string& text)
{
    if (text == "all") {
        return -1;
    }
    if (text == "none") {
        return 0;
    }
    if (text.starts_with("last:")) {
        return number(std::string_view(text).substr(5), "--decode-rows");
    }
    throw PromptError(fmt::format("--decode-rows: found \"{}\", expected all, last:N or none", text));
}

std::vector<PromptInput> prompts(const Arguments& arguments)
{
    const int given = int(arguments.prompt.has_value()) + int(!arguments.promptFile.empty())
        + int(!arguments.promptLines.empty()) + int(!arguments.ids.empty()) + int(!arguments.suite.suite.empty());
    if (given != 1) {
        throw PromptError(fmt::format("prompt: found {} sources, expected exactly one of --prompt, --prompt-file, "
                                      "--prompts, --ids, --suite, with text in it",
            given));
    }
    if (!arguments.suite.suite.empty()) {
        std::vector<PromptInput> inputs;
        for (const Task* task : arguments.suite.tasks())
            for (const TaskItem& item : task->items(arguments.suite.itemOptions(arguments.chat)))
                inputs.push_back(promptOfItem(item, arguments.chat));
        return inputs;
    }
    if (!arguments.promptLines.empty()) {
        return readPromptLines(arguments.promptLines);
    }
    if (!arguments.ids.empty()) {
        return readTokenIds(arguments.ids);
    }
    PromptInput input;
    input.text = arguments.prompt ? *arguments.prompt : readPromptFile(arguments.promptFile);
    if (input.text.empty()) {
        throw PromptError(
            fmt::format("{}: it is empty, expected a prompt", arguments.prompt ? "--prompt" : arguments.promptFile));
    }
    return {std::move(input)};
}

/// The command line for the recording: the text of a prompt stays out of it.
std::string commandText(const Arguments& arguments)
{
    std::string text = fmt::format("capture {} --out {}", arguments.model, arguments.out);
    const auto add = [&](std::string_view option, const std::string& value) {
        if (!value.empty()) {
            text += fmt::format(" {} {}", option, value);
        }
    };
    add("--prompt", arguments.prompt ? "..." : "");
    add("--prompt-file", arguments.promptFile);
    add("--prompts", arguments.promptLines);
    add("--ids", arguments.ids);
    text += arguments.suite.commandText();
    add("--record", arguments.record);
    add("--with", fmt::format("{}", fmt::join(arguments.with, ",")));
    add("--layers", arguments.layers);
    add("--heads", fmt::format("{}", fmt::join(arguments.heads, ",")));
    add("--decode-rows", arguments.decodeRows == "all" ? "" : arguments.decodeRows);
    add("--compression", arguments.compression);
    add("--generate", arguments.generate > 0 ? fmt::format("{}", arguments.generate) : "");
    text += arguments.chat ? " --chat" : "";
    add("--chat-template", arguments.chatTemplate);
    add("--spans", arguments.spans == "auto" ? "" : arguments.spans);
    add("--adapter", arguments.adapter);
    add("--shot-separator", arguments.shotSeparator);
    add("--device", arguments.device.device == "cpu" ? "" : arguments.device.device);
    add("--dtype", arguments.device.dtype);
    return text;
}

CaptureOptions captureOptions(const Arguments& arguments)
{
    CaptureOptions options;
    options.prompts = prompts(arguments);
    options.model = resolveModel(arguments.model);
    options.modelName = arguments.model == options.model.string() ? std::string() : arguments.model;
    options.out = arguments.out;
    if (arguments.record == "full") {
        options.kind = RecordKind::Full;
    } else if (arguments.record == "qk") {
        options.kind = RecordKind::QueriesKeys;
    } else if (arguments.record == "stats") {
        options.kind = RecordKind::Statistics;
    }
    options.compression = arguments.compression == "none" ? Compression::None
        : arguments.compression == "small"                ? Compression::Small
                                                          : Compression::Fast;
    options.generate = arguments.generate;
    options.decodeRows = decodeRowLimit(arguments.decodeRows);
    const auto with
        = [&](std::string_view extra) { return std::ranges::find(arguments.with, extra) != arguments.with.end(); };
    options.rowOrder = with("row-order");
    options.outputNorms = with("output-norms");
    options.layers = layerList(arguments.layers);
    options.mapHeads = headMap(arguments.heads);
    options.rules.chat = arguments.chat;
    if (!arguments.chatTemplate.empty()) {
        options.chatTemplate = readPromptFile(arguments.chatTemplate);
    }
    if (arguments.spans == "none") {
        options.rules.spans = PromptRules::Spans::None;
    } else if (arguments.spans != "auto") {
        options.rules.spans = PromptRules::Spans::Given;
        if (options.prompts.size() != 1) {
            throw PromptError("--spans: a file of spans fits one prompt; write them into prompts.jsonl instead");
        }
        options.prompts.front().spans = readSpanFile(arguments.spans);
    }
    options.rules.shotSeparator = arguments.shotSeparator;
    if (!arguments.adapter.empty()) {
        options.adapter = Adapter::read(findAdapter(arguments.adapter));
    }
    options.role = arguments.role;
    options.command = commandText(arguments);
    if (const auto type = arguments.device.cudaType())
        options.device = arguments.estimate ? cuda::estimateCuda(*type) : cuda::openCuda(*type);
    options.threads = arguments.threads;
    options.memoryLimit = byteCount(arguments.memory, "--memory");
    options.overwrite = arguments.overwrite;
    options.resume = arguments.resume;
    options.merge = !arguments.noMerge;
    return options;
}

std::string_view kindName(RecordKind kind)
{
    return kind == RecordKind::Full ? "full" : kind == RecordKind::QueriesKeys ? "qk" : "stats";
}

std::string_view weightsAre(WeightPlacement placement)
{
    return placement == WeightPlacement::Resident ? "resident" : "streamed";
}

double mebibytes(std::uint64_t bytes)
{
    return static_cast<double>(bytes) / (1 << 20);
}

nlohmann::json deviceJson(const DeviceCost& cost)
{
    nlohmann::json json{{"bytes_to_device", cost.toDevice}, {"bytes_to_host", cost.toHost}};
    for (const auto& [what, bytes] : cost.memory)
        json["memory_bytes"][std::string(what)] = bytes;
    json["free_bytes"] = cost.freeMemory ? nlohmann::json(*cost.freeMemory) : nlohmann::json();
    return json;
}

void printDevice(const DeviceCost& cost)
{
    std::uint64_t total = 0;
    std::string parts;
    for (const auto& [what, bytes] : cost.memory) {
        total += bytes;
        parts += fmt::format("{}{} {:.0f}", parts.empty() ? "" : ", ", what, mebibytes(bytes));
    }
    fmt::print("device   {:.0f} MiB ({}), beside the runtime's own; {}\n", mebibytes(total), parts,
        cost.freeMemory ? fmt::format("{:.0f} MiB are free", mebibytes(*cost.freeMemory))
                        : "no GPU here to compare with");
    fmt::print("transfer {:.0f} MiB to the device, {:.0f} MiB to the host\ntime     is not estimated for a GPU\n",
        mebibytes(cost.toDevice), mebibytes(cost.toHost));
}

void printEstimate(const CaptureEstimate& estimate, bool json)
{
    if (json) {
        nlohmann::json line{{"record", kindName(estimate.kind)}, {"file_bytes", estimate.fileBytes},
            {"map_bytes", estimate.mapBytes}, {"memory_bytes", estimate.memoryBytes},
            {"weights", estimate.device ? "device" : weightsAre(estimate.placement)}};
        line["seconds"] = estimate.seconds ? nlohmann::json(*estimate.seconds) : nlohmann::json();
        if (estimate.device)
            line["device"] = deviceJson(*estimate.device);
        fmt::print("{}\n", line.dump());
        return;
    }
    fmt::print("record   {}\nfile     {:.1f} MiB before compression, {:.1f} MiB of them maps\nmemory   {:.0f} MiB, "
               "weights {}\n",
        kindName(estimate.kind), mebibytes(estimate.fileBytes), mebibytes(estimate.mapBytes),
        mebibytes(estimate.memoryBytes), estimate.device ? "on the device" : weightsAre(estimate.placement));
    if (estimate.device)
        printDevice(*estimate.device);
    if (estimate.seconds) {
        fmt::print("forward  {:.1f} s without recording, from a timed run\n", *estimate.seconds);
    }
}

void run(const Arguments& arguments)
{
    const InterruptGuard interrupt;
    RunReporter reporter(arguments.progress);
    const RunEvents events = reporter.events();
    CaptureSession session(captureOptions(arguments), events);
    if (arguments.estimate) {
        const CaptureEstimate estimate = session.estimate(true);
        reporter.end();
        printEstimate(estimate, arguments.json);
        return;
    }
    if (arguments.progress != "none") {
        for (const PreparedPrompt& prompt : session.prompts()) {
            events.say(describeSpans(prompt));
        }
    }
    const CaptureSummary summary = session.run();
    reporter.end();
    if (arguments.json) {
        fmt::print("{}\n",
            nlohmann::json{{"recording", arguments.out}, {"record", kindName(session.kind())},
                {"recorded", summary.recorded}, {"resumed", summary.resumed}, {"bytes", summary.fileBytes},
                {"seconds", summary.forwardSeconds}}
                .dump());
    } else {
        fmt::print("{}: {} sample{} recorded ({}), {:.1f} MiB, {:.2f} s\n", arguments.out, summary.recorded,
            summary.recorded == 1 ? "" : "s", kindName(session.kind()), mebibytes(summary.fileBytes),
            summary.forwardSeconds);
    }
}

} // namespace

void addCaptureCommand(CLI::App& program)
{
    auto arguments = std::make_shared<Arguments>();
    CLI::App* command = program.add_subcommand("capture", "Record the attention of real forward passes");
    command
        ->add_option("model", arguments->model,
            "GGUF file, folder in Hugging Face layout, or a name that `kvloupe models` lists")
        ->required()
        ->type_name("MODEL");
    command->add_option("--out,-o", arguments->out, "Recording to write")->required()->type_name("REC.h5");
    command->add_option("--prompt", arguments->prompt, "The prompt itself")->type_name("TEXT");
    command->add_option("--prompt-file", arguments->promptFile, "File that holds one prompt")->type_name("FILE");
    command
        ->add_option("--prompts", arguments->promptLines,
            "JSON lines with text or messages, and optionally id, pair_id, task, seed, spans")
        ->type_name("F.jsonl");
    command->add_option("--ids", arguments->ids, "JSON list of token ids, or list of such lists")->type_name("F.json");
    arguments->suite.addTo(*command);
    command->add_option("--generate", arguments->generate, "Tokens to generate after the prompt, greedily")
        ->check(CLI::Range(std::int64_t{0}, std::int64_t{1'000'000}))
        ->type_name("N");
    command
        ->add_option("--record", arguments->record,
            "full: with maps; qk: queries and keys; stats: statistics only (default: full while the maps of a sample "
            "stay under 2 GiB, else qk)")
        ->check(CLI::IsMember({"full", "qk", "stats"}));
    command
        ->add_option("--with", arguments->with,
            "Extras: row-order (Gini and top masses of rows; stats always has them), output-norms (1-norm of W_o v)")
        ->delimiter(',')
        ->check(CLI::IsMember({"row-order", "output-norms"}))
        ->type_name("EXTRA,...");
    command->add_option("--layers", arguments->layers, "Layers to record, for example 0-5,8 (default: all)")
        ->type_name("LIST");
    command->add_option("--heads", arguments->heads, "Heads whose maps are stored, LAYER:HEAD (default: all)")
        ->delimiter(',')
        ->type_name("L:H,...");
    command->add_option("--decode-rows", arguments->decodeRows, "Rows of generated tokens to store: all, last:N, none")
        ->capture_default_str()
        ->type_name("WHICH");
    command->add_option("--compression", arguments->compression, "none, fast or small (both deflate)")
        ->check(CLI::IsMember({"none", "fast", "small"}))
        ->capture_default_str();
    command->add_flag("--chat", arguments->chat, "Make the prompt a user message of the model's chat template");
    command->add_option("--chat-template", arguments->chatTemplate, "File with another chat template")
        ->type_name("FILE");
    command
        ->add_option("--spans", arguments->spans,
            "auto: find few-shot examples; none; or a JSON file of spans in bytes of the prompt")
        ->capture_default_str()
        ->type_name("auto|none|F");
    command
        ->add_option(
            "--shot-separator", arguments->shotSeparator, "Regular expression (PCRE2) between few-shot examples")
        ->type_name("REGEX");
    command->add_option("--adapter", arguments->adapter, "LoRA adapter: a folder in the PEFT format, or a shipped one")
        ->type_name("DIR");
    command->add_option("--role", arguments->role, "Role of the model, for example instruct, reasoning, base")
        ->type_name("ROLE");
    arguments->device.addTo(*command);
    command->add_option("--threads", arguments->threads, "Threads to use (default: all cores)")
        ->check(CLI::Range(0, 4096))
        ->type_name("N");
    command
        ->add_option("--memory", arguments->memory,
            "Memory to use, for example 900M or 4G (default: what is available); weights that do not fit are read from "
            "their file piece by piece, and what does not fit even so is refused")
        ->type_name("LIMIT");
    command->add_flag("--estimate", arguments->estimate, "Print bytes, memory and time; record nothing");
    command->add_flag("--resume", arguments->resume, "Go on after the last complete sample");
    command->add_flag("--overwrite", arguments->overwrite, "Replace a recording that exists");
    command->add_flag("--no-merge", arguments->noMerge, "Leave one file per sample in REC.h5.parts");
    command->add_option("--progress", arguments->progress, "bar, json or none")
        ->check(CLI::IsMember({"bar", "json", "none"}))
        ->capture_default_str();
    command->add_flag("--json", arguments->json, "Print the result as JSON");
    command->footer(
        "Example:\n  kvloupe capture smollm2-135m-instruct --prompt-file prompt.txt --generate 32 --out rec.h5");
    command->callback([arguments] { run(*arguments); });
}

} // namespace kvloupe
