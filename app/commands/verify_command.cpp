// SPDX-License-Identifier: GPL-3.0-or-later

#include "app/commands/verify_command.h"

#include "core/error.h"
#include "core/progress/interrupt.h"
#include "core/progress/progress.h"
#include "core/recording/recording.h"
#include "core/recording/verify.h"

#include <CLI/CLI.hpp>
#include <cstdint>
#include <fmt/format.h>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

namespace kvloupe {

namespace {

struct Options {
    std::string recording;
    std::int64_t rows = VerifyOptions{}.rowsPerHead;
    std::string progress = "bar";
    bool json = false;
};

void printReport(const Options& options, const VerifyReport& report)
{
    if (options.json) {
        const nlohmann::ordered_json object{{"recording", options.recording}, {"samples", report.samples},
            {"rows_checked", report.rowsChecked}, {"cells_checked", report.cellsChecked},
            {"problems", report.problems}};
        fmt::print("{}\n", object.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
        return;
    }
    for (const std::string& problem : report.problems)
        fmt::print("{}\n", problem);
    if (report.problems.empty())
        fmt::print("{}: {} sample{}, no problems: all chunks, {} rows, {} cells\n", options.recording, report.samples,
            report.samples == 1 ? "" : "s", report.rowsChecked, report.cellsChecked);
}

void runVerify(const Options& options)
{
    const InterruptGuard interrupt;
    Progress progress(progressModeFromName(options.progress).value_or(ProgressMode::Bar));
    const Recording recording = Recording::open(options.recording);
    VerifyOptions verify;
    verify.rowsPerHead = options.rows;
    const VerifyReport report = verifyRecording(recording, verify, progress.fractions("checking"));
    if (!report.complete)
        throw Error(fmt::format("{}: not checked to the end", options.recording));
    progress.end();
    printReport(options, report);
    if (!report.problems.empty())
        throw Error(fmt::format("{}: {} problem{} found; record it again, or use the samples that are whole",
            options.recording, report.problems.size(), report.problems.size() == 1 ? "" : "s"));
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
    command
        ->add_option("--rows", options->rows,
            "Rows per head to make again from queries and keys, the first and the last among them")
        ->check(CLI::Range(std::int64_t{1}, std::int64_t{1'000'000'000}))
        ->capture_default_str()
        ->type_name("N");
    command->add_flag("--json", options->json, "Print one JSON object");
    command->add_option("--progress", options->progress, "bar, json or none")
        ->check(CLI::IsMember({"bar", "json", "none"}))
        ->capture_default_str();
    command->footer("Example:\n  kvloupe verify fewshot.h5");
    command->callback([options] { runVerify(*options); });
}

} // namespace kvloupe
