// SPDX-License-Identifier: GPL-3.0-or-later

#include "app/commands/verify_command.h"

#include "core/error.h"
#include "core/progress/interrupt.h"
#include "core/progress/progress.h"
#include "core/recording/recording.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <memory>
#include <string>
#include <vector>

namespace kvloupe {

namespace {

struct Options {
    std::string recording;
    std::string progress = "bar";
};

void runVerify(const Options& options)
{
    const InterruptGuard interrupt;
    Progress progress(progressModeFromName(options.progress).value_or(ProgressMode::Bar));
    const Recording recording = Recording::open(options.recording);
    std::vector<std::string> problems;
    for (int sample = 0; sample < recording.sampleCount(); ++sample) {
        recording.verifyChunks(
            sample, [&](const std::string& damaged) { problems.push_back(damaged); },
            progress.fractions(fmt::format("checking sample {}", sample)));
    }
    progress.end();
    for (const std::string& problem : problems)
        fmt::print("{}\n", problem);
    if (!problems.empty())
        throw Error(fmt::format(
            "{}: {} problems found; record it again, or use what is whole", options.recording, problems.size()));
    fmt::print("{}: {} sample{}, no problems\n", options.recording, recording.sampleCount(),
        recording.sampleCount() == 1 ? "" : "s");
}

} // namespace

void addVerifyCommand(CLI::App& program)
{
    auto options = std::make_shared<Options>();
    CLI::App* command = program.add_subcommand(
        "verify", "Check that a recording is whole and that what it holds agrees with itself; name what is damaged");
    command->add_option("REC", options->recording, "Recording: an HDF5 file, or the folder of parts of one that grows")
        ->required()
        ->type_name("");
    command->add_option("--progress", options->progress, "bar, json or none")
        ->check(CLI::IsMember({"bar", "json", "none"}))
        ->capture_default_str();
    command->footer("Example:\n  kvloupe verify fewshot.h5");
    command->callback([options] { runVerify(*options); });
}

} // namespace kvloupe
