// SPDX-License-Identifier: GPL-3.0-or-later

#include "tests/support/make_recording.h"

#include "core/error.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <cstdio>
#include <map>
#include <string>

int main(int argc, char** argv)
{
    using namespace kvloupe;
    CLI::App app("Writes a synthetic recording for tests and benchmarks", "make_recording");
    std::string path;
    SyntheticRecording options;
    app.add_option("OUT", path, "recording to write, over whatever is there")->required();
    app.add_option("--tokens", options.promptTokens, "prompt tokens")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    app.add_option("--generated", options.generatedTokens, "generated tokens")->check(CLI::NonNegativeNumber);
    app.add_option("--layers", options.layers, "layers")->check(CLI::PositiveNumber)->capture_default_str();
    app.add_option("--heads", options.heads, "query heads")->check(CLI::PositiveNumber)->capture_default_str();
    app.add_option("--kv-heads", options.kvHeads, "key and value heads")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    app.add_option("--head-dim", options.headDim, "size of a head, even")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    app.add_option("--window", options.window, "sliding window in tokens, 0 = none")->check(CLI::NonNegativeNumber);
    app.add_option("--samples", options.samples, "samples")->check(CLI::PositiveNumber)->capture_default_str();
    app.add_option("--seed", options.seed, "seed of all numbers")->capture_default_str();
    const std::map<std::string, RecordKind> kinds{
        {"full", RecordKind::Full}, {"qk", RecordKind::QueriesKeys}, {"stats", RecordKind::Statistics}};
    app.add_option("--kind", options.kind, "full, qk or stats")->transform(CLI::CheckedTransformer(kinds));
    const std::map<std::string, Compression> compressions{
        {"none", Compression::None}, {"fast", Compression::Fast}, {"small", Compression::Small}};
    app.add_option("--compression", options.compression, "none, fast or small")
        ->transform(CLI::CheckedTransformer(compressions));
    app.add_flag("!--no-shots", options.shots, "plain text instead of a few-shot prompt");
    app.add_flag("--output-norms", options.outputNorms, "1-norms of W_o v, as CriticalKV reads them");
    app.add_flag("!--no-merge", options.merge, "leave the folder of parts");
    CLI11_PARSE(app, argc, argv);
    if (options.heads % options.kvHeads != 0 || options.headDim % 2 != 0) {
        fmt::print(stderr, "make_recording: --kv-heads must divide --heads, and --head-dim be even\n");
        return 2;
    }
    try {
        makeRecording(path, options);
    } catch (const Error& error) {
        fmt::print(stderr, "make_recording: {}\n", error.what());
        return 1;
    }
    return 0;
}
