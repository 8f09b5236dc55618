// SPDX-License-Identifier: GPL-3.0-or-later

#include "app/commands/info_command.h"

#include "app/text_table.h"
#include "core/recording/recording.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <system_error>

namespace kvloupe {

namespace {

using Json = nlohmann::ordered_json;

struct Size {
    std::uint64_t bytes = 0;
    std::uint64_t rawBytes = 0;

    Size& operator+=(const Size& other)
    {
        bytes += other.bytes;
        rawBytes += other.rawBytes;
        return *this;
    }
};

/// What one sample holds, summed over its layers.
struct SampleContents {
    std::vector<int> layers;
    std::int64_t maps = 0;
    std::int64_t decodeRows = 0;
    bool queriesKeys = false;
    bool values = false;
    std::int64_t tailRows = 0;
    Size size;

    std::string kind() const { return maps > 0 ? "full" : queriesKeys ? "qk" : layers.empty() ? "text" : "stats"; }
};

SampleContents contentsOf(const Recording& recording, int sample, std::map<std::string, Size>& byName)
{
    SampleContents result;
    result.layers = recording.layers(sample);
    for (const int number : result.layers) {
        const LayerInfo& layer = recording.layer(sample, number);
        result.maps += static_cast<std::int64_t>(layer.mapHeads.size());
        result.decodeRows = std::max(result.decodeRows, layer.decodeRows);
        result.queriesKeys = result.queriesKeys || layer.hasQueriesKeys;
        result.values = result.values || layer.hasValues;
        result.tailRows = std::max(result.tailRows, layer.tailRows);
    }
    for (const Recording::StoredBytes& stored : recording.storedBytes(sample)) {
        const Size size{stored.bytes, stored.rawBytes};
        byName[stored.name] += size;
        result.size += size;
    }
    return result;
}

std::string ratioText(const Size& size)
{
    return size.bytes == 0
        ? "-"
        : fmt::format("{:.2f}", static_cast<double>(size.rawBytes) / static_cast<double>(size.bytes));
}

/// Bytes on disk of a file, or of the parts of a recording that is not merged yet.
std::uint64_t bytesOnDisk(std::filesystem::path path)
{
    std::error_code error;
    if (!std::filesystem::exists(path, error)) {
        path += ".parts";
    }
    if (!std::filesystem::is_directory(path, error)) {
        const auto size = std::filesystem::file_size(path, error);
        return error ? 0 : size;
    }
    std::uint64_t total = 0;
    for (const auto& entry : std::filesystem::directory_iterator(path, error)) {
        const auto size = entry.is_regular_file(error) ? entry.file_size(error) : 0;
        total += error ? 0 : size;
    }
    return total;
}

Json sampleJson(const SampleInfo& info, const SampleContents& contents)
{
    return {{"id", info.id}, {"pair_id", info.pairId}, {"task", info.task}, {"role", info.role}, {"seed", info.seed},
        {"prompt_sha256", info.promptSha256}, {"prompt_tokens", info.promptTokens}, {"total_tokens", info.totalTokens},
        {"softmax_scale", info.softmaxScale}, {"wall_seconds", info.wallSeconds}, {"record", contents.kind()},
        {"layers", contents.layers}, {"maps", contents.maps}, {"queries_keys", contents.queriesKeys},
        {"values", contents.values}, {"tail_rows", contents.tailRows}, {"decode_rows", contents.decodeRows},
        {"bytes", contents.size.bytes}, {"raw_bytes", contents.size.rawBytes}};
}

void printJson(const Recording& recording)
{
    const RecordingInfo& info = recording.info();
    const ModelInfo& model = recording.model();
    Json result;
    result["path"] = recording.path().string();
    result["format"] = "kvloupe-recording";
    result["format_version"] = info.formatVersion;
    result["uuid"] = info.uuid;
    result["created"] = info.created;
    result["generator"] = info.generator;
    result["command"] = info.command;
    result["partial"] = recording.isPartial();
    result["bytes_on_disk"] = bytesOnDisk(recording.path());
    result["model"] = {{"name", model.name}, {"architecture", model.architecture}, {"file_sha256", model.fileSha256},
        {"adapter_sha256", model.adapterSha256}, {"num_layers", model.numLayers}, {"num_heads", model.numHeads},
        {"num_kv_heads", model.numKvHeads}, {"head_dim", model.headDim}, {"hidden_size", model.hiddenSize},
        {"vocab_size", model.vocabSize}, {"max_positions", model.maxPositions}, {"dtype", model.dtype},
        {"device", model.device}, {"attention_implementation", model.attentionImplementation}};
    result["tokenizer"] = {{"kind", model.tokenizerKind}, {"sha256", model.tokenizerSha256}};
    std::map<std::string, Size> byName;
    Json samples = Json::array();
    for (int sample = 0; sample < recording.sampleCount(); ++sample) {
        samples.push_back(sampleJson(recording.sample(sample), contentsOf(recording, sample, byName)));
    }
    result["samples"] = std::move(samples);
    Json stored = Json::object();
    for (const auto& [name, size] : byName) {
        stored[name] = {{"bytes", size.bytes}, {"raw_bytes", size.rawBytes}};
    }
    result["stored"] = std::move(stored);
    fmt::print("{}\n", result.dump(2, ' ', false, Json::error_handler_t::replace));
}

void printText(const Recording& recording)
{
    const RecordingInfo& info = recording.info();
    const ModelInfo& model = recording.model();
    fmt::print("recording  {}{}\n", recording.path().string(), recording.isPartial() ? " (parts, not merged)" : "");
    fmt::print("format     kvloupe-recording {}, {}\n", info.formatVersion, info.uuid);
    fmt::print("made       {} by {}\n", info.created, info.generator);
    if (!info.command.empty()) {
        fmt::print("command    {}\n", info.command);
    }
    fmt::print("model      {} ({}): {} layers, {} heads, {} KV heads of {} dimensions; context {}, vocabulary {}\n",
        model.name, model.architecture, model.numLayers, model.numHeads, model.numKvHeads, model.headDim,
        model.maxPositions, model.vocabSize);
    fmt::print("weights    sha256 {}{}\n", model.fileSha256.empty() ? "unknown" : model.fileSha256,
        model.adapterSha256.empty() ? "" : ", adapter " + model.adapterSha256);
    fmt::print("computed   {} on {}, tokenizer {}\n", model.dtype, model.device,
        model.tokenizerKind.empty() ? "none (token ids were given)" : model.tokenizerKind);
    fmt::print("size       {}\n\n", byteText(bytesOnDisk(recording.path())));

    std::map<std::string, Size> byName;
    TextTable samples(
        {">sample", "id", "role", ">prompt", ">generated", "record", ">layers", ">maps", ">stored", ">ratio"});
    for (int sample = 0; sample < recording.sampleCount(); ++sample) {
        const SampleInfo& sampleInfo = recording.sample(sample);
        const SampleContents contents = contentsOf(recording, sample, byName);
        samples.add({std::to_string(sample), sampleInfo.id, sampleInfo.role, std::to_string(sampleInfo.promptTokens),
            std::to_string(sampleInfo.totalTokens - sampleInfo.promptTokens), contents.kind(),
            std::to_string(contents.layers.size()), std::to_string(contents.maps), byteText(contents.size.bytes),
            ratioText(contents.size)});
    }
    fmt::print("{}", samples.empty() ? "no sample is complete yet\n" : samples.text());
    if (!byName.empty()) {
        TextTable objects({"stored", ">bytes", ">raw", ">ratio"});
        for (const auto& [name, size] : byName) {
            objects.add({name, byteText(size.bytes), byteText(size.rawBytes), ratioText(size)});
        }
        fmt::print("\n{}", objects.text());
    }
}

} // namespace

void addInfoCommand(CLI::App& program)
{
    struct Options {
        std::string recording;
        bool json = false;
    };
    auto options = std::make_shared<Options>();
    CLI::App* command = program.add_subcommand("info", "Show what is in a recording, with sizes");
    command
        ->add_option("REC", options->recording, "Recording: an HDF5 file, or the folder REC.h5.parts of one that grows")
        ->required()
        ->type_name("");
    command->add_flag("--json", options->json, "Print one JSON object");
    command->footer("Example:\n  kvloupe info fewshot.h5");
    command->callback([options] {
        const Recording recording = Recording::open(options->recording);
        if (options->json) {
            printJson(recording);
        } else {
            printText(recording);
        }
    });
}

} // namespace kvloupe
