// SPDX-License-Identifier: GPL-3.0-or-later

// What recording costs: capture of one prompt in every mode against the same blocks without recording (logits and nll
// for all positions), in turn and in one process. Prints one JSON object.
//
//   capture_benchmark MODEL (--prompt-file F | --ids F.json) [--tokens N] [--repeat N] [--folder DIR] [--modes
//   qk,full-none,full-fast]

#include "capture/checkpoint/checkpoint.h"
#include "capture/checkpoint/model_catalog.h"
#include "capture/model/transformer.h"
#include "capture/recorder/capture_session.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

namespace {

using namespace kvloupe;
using Clock = std::chrono::steady_clock;

double seconds(Clock::time_point since)
{
    return std::chrono::duration<double>(Clock::now() - since).count();
}

nlohmann::json summary(std::vector<double> values)
{
    std::sort(values.begin(), values.end());
    return {{"min", values.front()}, {"median", values[values.size() / 2]}, {"max", values.back()}};
}

/// Largest resident memory since the last reset, bytes.
std::uint64_t peakMemory()
{
    std::ifstream status("/proc/self/status");
    std::string line;
    while (std::getline(status, line)) {
        if (line.starts_with("VmHWM:")) {
            return std::stoull(line.substr(6)) * 1024;
        }
    }
    return 0;
}

void resetPeakMemory()
{
    std::ofstream("/proc/self/clear_refs") << "5";
}

double plainForward(Transformer& model, const std::vector<std::int32_t>& ids)
{
    const auto started = Clock::now();
    KvCache cache = model.makeCache(std::ssize(ids));
    model.prefill(ids, cache, PrefillOptions());
    return seconds(started);
}

} // namespace

int main(int argc, char** argv)
{
    CLI::App program("capture_benchmark");
    std::string modelName;
    std::string promptFile;
    std::string idsFile;
    std::string folder = std::filesystem::temp_directory_path().string();
    std::vector<std::string> modes{"qk", "full-none", "full-fast"};
    std::size_t tokens = 0;
    int repeat = 5;
    program.add_option("model", modelName)->required();
    program.add_option("--prompt-file", promptFile);
    program.add_option("--ids", idsFile);
    program.add_option("--tokens", tokens, "Cut or repeat the prompt to this many tokens");
    program.add_option("--repeat", repeat);
    program.add_option("--folder", folder, "Where recordings are written");
    program.add_option("--modes", modes)->delimiter(',');
    CLI11_PARSE(program, argc, argv);

    CaptureOptions options;
    options.model = resolveModel(modelName);
    if (!idsFile.empty()) {
        options.prompts = readTokenIds(idsFile);
    } else {
        options.prompts.emplace_back().text = readPromptFile(promptFile);
    }
    std::vector<std::int32_t> ids;
    {
        const CaptureSession session(options, {});
        ids = session.prompts().front().ids;
    }
    if (tokens > 0) {
        const std::size_t given = ids.size();
        ids.resize(tokens);
        for (std::size_t i = given; i < tokens; ++i) {
            ids[i] = ids[i - given];
        }
        options.prompts = {PromptInput()};
        options.prompts.front().ids = ids;
    }

    const std::shared_ptr<Transformer> model = Transformer::load(*Checkpoint::open(options.model), LoadOptions());
    plainForward(*model, ids);

    const auto record = [&](const std::string& mode, std::uint64_t& bytes) {
        CaptureOptions run = options;
        run.out = std::filesystem::path(folder) / fmt::format("capture_benchmark_{}.h5", mode);
        run.overwrite = true;
        run.kind = mode == "qk" ? RecordKind::QueriesKeys : mode == "stats" ? RecordKind::Statistics : RecordKind::Full;
        run.compression = mode.ends_with("none") ? Compression::None
            : mode.ends_with("small")            ? Compression::Small
                                                 : Compression::Fast;
        std::filesystem::remove(run.out);
        CaptureSession session(run, {}, model);
        session.prepare();
        const auto started = Clock::now();
        bytes = session.run().fileBytes;
        const double elapsed = seconds(started);
        std::filesystem::remove(run.out);
        return elapsed;
    };

    std::map<std::string, std::vector<double>> times;
    std::map<std::string, std::vector<double>> ratios;
    std::map<std::string, std::uint64_t> bytes;
    std::map<std::string, std::uint64_t> extraMemory;
    std::vector<double> plain;
    for (int i = 0; i < repeat; ++i) {
        for (const std::string& mode : modes) {
            resetPeakMemory();
            const double reference = plainForward(*model, ids);
            const std::uint64_t plainPeak = peakMemory();
            resetPeakMemory();
            const double recorded = record(mode, bytes[mode]);
            const std::uint64_t recordedPeak = peakMemory();
            plain.push_back(reference);
            times[mode].push_back(recorded);
            ratios[mode].push_back(recorded / reference);
            extraMemory[mode] = std::max(extraMemory[mode], recordedPeak > plainPeak ? recordedPeak - plainPeak : 0);
        }
    }
    nlohmann::json result{{"tokens", ids.size()}, {"plain_seconds", summary(plain)}, {"repeat", repeat}};
    for (const std::string& mode : modes) {
        result[mode] = {{"seconds", summary(times[mode])}, {"ratio", summary(ratios[mode])}, {"bytes", bytes[mode]},
            {"extra_peak_bytes", extraMemory[mode]}};
    }
    fmt::print("{}\n", result.dump(2));
    return 0;
}
