// SPDX-License-Identifier: GPL-3.0-or-later

#include "app/commands/summarize_command.h"

#include "app/commands/option_check.h"
#include "app/summary_text.h"
#include "core/error.h"
#include "core/methods/nearest_names.h"
#include "core/results/summary_table.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace kvloupe {

namespace {

struct Options {
    std::vector<std::string> files;
    std::vector<std::string> by;
    bool csv = false;
    bool latex = false;
    bool json = false;
};

SummaryField fieldNamed(const std::string& name)
{
    if (const auto field = summaryFieldFromName(name))
        return *field;
    const std::vector<std::string> names = summaryFieldNames();
    throw Error(fmt::format(
        "found \"{}\"{}, expected some of {}", shownName(name), didYouMean(name, names), fmt::join(names, ", ")));
}

std::set<SummaryField> fieldsOf(const Options& options)
{
    if (options.by.empty())
        return defaultSummaryFields();
    std::set<SummaryField> fields;
    for (const std::string& name : options.by)
        fields.insert(fieldNamed(name));
    return fields;
}

std::string rowCount(std::int64_t rows)
{
    return fmt::format("{} {}", rows, rows == 1 ? "row" : "rows");
}

/// What a reader of the table has to know about the files.
void reportFile(const ResultFile& file)
{
    const std::string name = file.path.string();
    if (file.tornBytes > 0)
        fmt::print(
            stderr, "kvloupe: {}: the last line is not finished ({} bytes); it was left out\n", name, file.tornBytes);
    for (const ResultRun& run : file.runs) {
        if (run.incompleteRows > 0)
            fmt::print(stderr,
                "kvloupe: {}: {} of samples that were not completed were left out; --resume does "
                "these samples again\n",
                name, rowCount(run.incompleteRows));
    }
}

void runSummarize(const Options& options)
{
    SummaryBuilder builder(fieldsOf(options));
    for (const std::string& path : options.files) {
        const ResultFile file = readResults(path, ResultTexts::Drop);
        reportFile(file);
        for (const ResultRun& run : file.runs)
            builder.add(run);
    }
    const Summary summary = builder.build();
    if (summary.repeatedRows > 0)
        fmt::print(stderr, "kvloupe: measured in an earlier run as well: {}; the last of each was taken\n",
            rowCount(summary.repeatedRows));
    if (options.csv)
        fmt::print("{}", summaryCsv(summary));
    else if (options.json)
        fmt::print("{}", summaryJson(summary));
    else if (options.latex)
        fmt::print("{}", summaryLatex(summaryTable(summary)));
    else
        fmt::print("{}", summaryText(summary));
}

} // namespace

void addSummarizeCommand(CLI::App& program)
{
    auto options = std::make_shared<Options>();
    CLI::App* command = program.add_subcommand("summarize",
        "Tables of evaluated runs: accuracy, relative drop, paired tests, likelihood, by task, method and budget");
    command->add_option("RESULTS", options->files, "Results of kvloupe evaluate, JSON lines; several are joined")
        ->required()
        ->type_name("");
    command
        ->add_option("--by", options->by,
            "What rows are split by, some of task, shots, level, seed, max_new_tokens, method, keep; all but seed "
            "without. Models, suites, data files and settings are always kept apart")
        ->delimiter(',')
        ->check(parses([](const std::string& name) { fieldNamed(name); }))
        ->type_name("FIELD,...");
    CLI::Option* csv = command->add_flag("--csv", options->csv, "CSV, one line per row of the table");
    CLI::Option* latex = command->add_flag("--latex", options->latex, "A LaTeX table (package booktabs)");
    CLI::Option* json = command->add_flag("--json", options->json, "One JSON array");
    csv->excludes(latex)->excludes(json);
    latex->excludes(json);
    command->footer("Example:\n  kvloupe summarize results.jsonl --by task,method,keep --csv");
    command->callback([options] { runSummarize(*options); });
}

} // namespace kvloupe
