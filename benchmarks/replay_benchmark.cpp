// SPDX-License-Identifier: GPL-3.0-or-later

// From attention to kept sets, for docs/performance.md. The peers are peer_kvpress.py and peer_numpy_replay.py, on the
// same maps:
//   peer_numpy_replay.py --write-maps MAPS.npy --tokens 2048
//   replay_benchmark maps MAPS.npy [--kept FOLDER]        five methods at five ratios from float32 maps in memory
//   replay_benchmark recording REC.h5 [--kept FOLDER]     the same from a file with statistics
//   replay_benchmark all REC.h5                           every method at nine budgets, from evidence and from the file
//   replay_benchmark select                               one method again at another budget, 32 layers x 8 heads

#include "core/error.h"
#include "core/methods/method_registry.h"
#include "core/replay/map_evidence.h"
#include "core/replay/replay.h"

#include <algorithm>
#include <chrono>
#include <CLI/CLI.hpp>
#include <cstdio>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <fstream>
#include <functional>
#include <iostream>
#include <random>
#include <regex>
#include <sys/mman.h>

namespace kvloupe {
namespace {

const std::vector<std::string> fiveSpecs{"streaming_llm@kvpress", "snapkv@kvpress:granularity=q_head",
    "observed_attention@kvpress:granularity=q_head", "tova@kvpress", "pyramidkv@kvpress:granularity=q_head"};
const std::vector<std::string> fiveRatios{"0.1", "0.3", "0.5", "0.7", "0.9"};

/// Runs once to warm up, then `repeats` times; prints seconds.
void timed(const std::string& name, int repeats, const std::function<void()>& run)
{
    std::vector<double> seconds;
    for (int repeat = 0; repeat <= repeats; ++repeat) {
        const auto begin = std::chrono::steady_clock::now();
        run();
        const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
        if (repeat > 0)
            seconds.push_back(elapsed.count());
    }
    std::ranges::sort(seconds);
    fmt::print("{:<48} min {:.6f} s  median {:.6f} s  max {:.6f} s  ({} runs)\n", name, seconds.front(),
        seconds[seconds.size() / 2], seconds.back(), repeats);
    std::fflush(stdout);
}

/// The file of numpy.save, float32 [layers, heads, T, T] in C order.
class NpyMaps {
public:
    explicit NpyMaps(const std::string& path)
    {
        std::ifstream stream(path, std::ios::binary);
        std::string start(10, '\0');
        stream.read(start.data(), 10);
        const std::size_t headerBytes
            = static_cast<unsigned char>(start[8]) + 256U * static_cast<unsigned char>(start[9]);
        std::string header(headerBytes, '\0');
        stream.read(header.data(), static_cast<std::streamsize>(headerBytes));
        std::smatch shape;
        if (!stream || !start.starts_with("\x93NUMPY") || header.find("'<f4'") == std::string::npos
            || header.find("'fortran_order': False") == std::string::npos
            || !std::regex_search(header, shape, std::regex(R"(\((\d+), (\d+), (\d+), (\d+)\))")))
            throw Error(path + ": expected float32 [layers, heads, T, T] as numpy.save writes it");
        layers = std::stoi(shape[1]);
        heads = std::stoi(shape[2]);
        tokens = std::stoll(shape[3]);
        cells.resize(static_cast<std::size_t>(layers * heads * tokens * tokens));
        stream.read(reinterpret_cast<char*>(cells.data()), static_cast<std::streamsize>(cells.size() * sizeof(float)));
        if (!stream)
            throw Error(path + ": is cut short");
    }

    LayerMaps layer(int index) const
    {
        const auto perLayer = static_cast<std::size_t>(heads * tokens * tokens);
        return {index, layers, heads, heads, tokens,
            std::span(cells).subspan(perLayer * static_cast<std::size_t>(index), perLayer)};
    }

    int layers = 0;
    int heads = 0;
    std::int64_t tokens = 0;
    std::vector<float> cells;
};

std::vector<Method> parsed(const std::vector<std::string>& specs)
{
    std::vector<Method> methods;
    for (const std::string& spec : specs)
        methods.push_back(parseMethod(spec));
    return methods;
}

using KeptSets = std::map<std::string, std::vector<std::map<int, KeepSet>>>; ///< [method][ratio][layer]

void chooseAll(std::span<const ScoredSample> scored, KeptSets& kept)
{
    for (const ScoredSample& sample : scored) {
        auto& ofMethod = kept[sample.method().name];
        ofMethod.clear();
        for (const std::string& ratio : fiveRatios)
            ofMethod.push_back(sample.choose(Budget::compressionRatio(ratio)).kept);
    }
}

/// METHOD_RATIO.npy, bool [layers, heads, T], for comparison with what the peers kept.
void writeKept(const KeptSets& kept, const std::filesystem::path& folder, int heads, std::int64_t tokens)
{
    std::filesystem::create_directories(folder);
    for (const auto& [method, ratios] : kept)
        for (std::size_t ratio = 0; ratio < ratios.size(); ++ratio) {
            std::string header = fmt::format("{{'descr': '|b1', 'fortran_order': False, 'shape': ({}, {}, {}), }}",
                ratios[ratio].size(), heads, tokens);
            header.resize((header.size() + 11 + 63) / 64 * 64 - 10, ' ');
            header.back() = '\n';
            std::ofstream out(folder / fmt::format("{}_{}.npy", method, fiveRatios[ratio]), std::ios::binary);
            out << "\x93NUMPY" << '\x01' << '\x00' << static_cast<char>(header.size() % 256)
                << static_cast<char>(header.size() / 256) << header;
            for (const auto& [layer, keep] : ratios[ratio])
                for (int head = 0; head < heads; ++head) {
                    std::string mask(static_cast<std::size_t>(tokens), '\0');
                    const auto set
                        = static_cast<std::size_t>(head) * keep.sets.size() / static_cast<std::size_t>(heads);
                    for (const std::int32_t position : keep.sets[set])
                        mask[static_cast<std::size_t>(position)] = '\x01';
                    out << mask;
                }
        }
}

void fromMaps(const std::string& path, int repeats, const std::string& keptFolder)
{
    const NpyMaps maps(path);
    const std::vector<Method> methods = parsed(fiveSpecs);
    const PromptLayout layout(maps.tokens);
    EvidenceNeeds needs;
    for (const Method& method : methods)
        needs.merge(method.needs(layout));
    KeptSets kept;
    std::vector<OwnedEvidence> owned;
    std::vector<LayerEvidence> evidence;
    const auto look = [&] {
        owned.clear();
        evidence.clear();
        for (int layer = 0; layer < maps.layers; ++layer) {
            owned.push_back(evidenceFromMaps(maps.layer(layer), needs));
            evidence.push_back(owned.back().view);
        }
    };
    const auto choose = [&] {
        std::vector<ScoredSample> scored;
        for (const Method& method : methods)
            scored.emplace_back(method, layout, evidence);
        chooseAll(scored, kept);
    };
    timed(fmt::format("maps in memory to kept sets, {} tokens", maps.tokens), repeats, [&] {
        look();
        choose();
    });
    timed("  of that, evidence from the maps", repeats, look);
    timed("  of that, scores and kept sets", repeats, choose);
    if (!keptFolder.empty())
        writeKept(kept, keptFolder, maps.heads, maps.tokens);
}

void fromRecording(const std::string& path, int repeats, const std::string& keptFolder)
{
    const std::vector<Method> methods = parsed(fiveSpecs);
    KeptSets kept;
    int heads = 0;
    std::int64_t tokens = 0;
    timed("file with statistics to kept sets", repeats, [&] {
        const Recording recording = Recording::open(path);
        heads = recording.model().numHeads;
        tokens = recording.sample(0).promptTokens;
        chooseAll(Replay(recording).score(0, methods), kept);
    });
    if (!keptFolder.empty())
        writeKept(kept, keptFolder, heads, tokens);
}

void allMethods(const std::string& path, int repeats)
{
    const Recording recording = Recording::open(path);
    const PromptLayout layout = promptLayout(recording, 0);
    std::vector<Budget> budgets;
    for (int percent = 10; percent <= 90; percent += 10)
        budgets.push_back(Budget::keep(fmt::format("0.{}", percent / 10)));
    std::vector<Method> methods;
    EvidenceNeeds needs;
    for (const MethodInfo& info : methodRegistry()) {
        if (info.takesPath)
            continue;
        const Method method = parseMethod(info.name);
        if (method.needs(layout).outputValueNorms
            && !recording.has(0, recording.layers(0).front(), TokenArray::OutputValueNorm1)) {
            fmt::print("{} left out: the recording has no output norms\n", info.name);
            continue;
        }
        methods.push_back(method);
        needs.merge(method.needs(layout));
    }
    std::vector<OwnedEvidence> owned;
    std::vector<LayerEvidence> evidence;
    for (const int layer : recording.layers(0)) {
        owned.push_back(EvidenceBuilder(recording).build(0, layer, needs));
        evidence.push_back(owned.back().view);
    }
    const Replay replay(recording);
    for (const Method& method : methods) {
        const auto score = [&] {
            return method.layerPruner ? std::move(replay.score(0, std::span(&method, 1)).front())
                                      : ScoredSample(method, layout, evidence);
        };
        timed(method.name + ": scores", repeats, [&] { score(); });
        const ScoredSample scored = score();
        timed(method.name + ": nine budgets", repeats, [&] {
            for (const Budget& budget : budgets)
                scored.choose(budget);
        });
    }
    timed("all methods at nine budgets, from evidence", repeats, [&] {
        for (const Method& method : methods) {
            if (method.layerPruner)
                continue;
            const ScoredSample scored(method, layout, evidence);
            for (const Budget& budget : budgets)
                scored.choose(budget);
        }
    });
    timed("evidence of all methods, from the file", repeats, [&] {
        for (const int layer : recording.layers(0))
            EvidenceBuilder(recording).build(0, layer, needs);
    });
}

/// Scores of 32 layers x 8 heads x 4,096 tokens, cut again and again at budgets that move as a slider moves them.
void selectAgain(int repeats)
{
    constexpr int layers = 32;
    constexpr int heads = 8;
    constexpr std::int64_t tokens = 4096;
    std::mt19937 random(1);
    std::exponential_distribution<float> attention;
    for (const char* spec : {"snapkv", "h2o", "adakv", "chunkkv"}) {
        std::vector<Scores> scores;
        std::vector<int> numbers;
        for (int layer = 0; layer < layers; ++layer) {
            Scores one;
            one.granularity = std::string_view(spec) == "chunkkv" ? Granularity::Layer : Granularity::KvHead;
            one.sets = std::string_view(spec) == "chunkkv" ? 1 : heads;
            one.tokens = tokens;
            one.values.resize(static_cast<std::size_t>(one.sets * tokens));
            std::ranges::generate(one.values, [&] { return attention(random); });
            scores.push_back(std::move(one));
            numbers.push_back(layer);
        }
        const ScoredSample scored(
            parseMethod(spec), PromptLayout(tokens), std::move(numbers), std::move(scores), layers, heads);
        int step = 0;
        timed(fmt::format("{}: another budget, 32 x 8 x 4,096", spec), repeats,
            [&] { scored.choose(Budget::keep(fmt::format("0.{:03}", 100 + (step++ * 37) % 800))); });
    }
}

} // namespace
} // namespace kvloupe

int main(int argc, char** argv)
{
    using namespace kvloupe;
    CLI::App program("From attention to kept sets");
    program.require_subcommand(1);
    std::string file;
    std::string kept;
    int repeats = 7;
    program.add_option("--repeat", repeats, "timed runs")->check(CLI::PositiveNumber);
    const auto add = [&](const char* name, const char* text, bool takesFile) {
        CLI::App* command = program.add_subcommand(name, text);
        if (takesFile)
            command->add_option("FILE", file)->required();
        command->add_option("--kept", kept, "folder for the kept sets");
        command->add_option("--repeat", repeats, "timed runs")->check(CLI::PositiveNumber);
        return command;
    };
    add("maps", "five methods at five ratios from float32 maps", true)->callback([&] {
        fromMaps(file, repeats, kept);
    });
    add("recording", "the same from a recording", true)->callback([&] { fromRecording(file, repeats, kept); });
    add("all", "every method at nine budgets", true)->callback([&] { allMethods(file, repeats); });
    add("select", "one method again at another budget", false)->callback([&] { selectAgain(repeats); });
    try {
        program.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return program.exit(error);
    } catch (const std::exception& error) {
        std::cerr << "replay_benchmark: " << error.what() << '\n';
        return 1;
    }
    return 0;
}
