// SPDX-License-Identifier: GPL-3.0-or-later

#include "app/commands/analyze_command.h"

#include "app/commands/method_options.h"
#include "app/commands/option_check.h"
#include "app/commands/sample_options.h"
#include "app/text_table.h"
#include "core/error.h"
#include "core/metrics/analysis.h"
#include "core/metrics/head_means.h"
#include "core/metrics/measure_text.h"
#include "core/metrics/pair_comparison.h"
#include "core/progress/interrupt.h"
#include "core/progress/progress.h"

#include <algorithm>
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace kvloupe {

namespace {

struct Options {
    std::vector<std::string> recordings;
    std::vector<std::string> metricNames;
    MethodOptions methods;
    SampleOptions samples;
    std::vector<int> layers;
    std::vector<int> heads;
    std::int64_t rows = 1;
    std::uint64_t seed = 0;
    std::string progress = "bar";
    bool withoutCache = false;
    bool pair = false;
    bool csv = false;
    bool json = false;

    /// Those that were named, or what any recording can be measured by.
    std::vector<Metric> metrics() const
    {
        std::vector<Metric> result;
        for (const std::string& name : metricNames)
            if (const Metric metric = findMetric(name).metric; std::ranges::find(result, metric) == result.end())
                result.push_back(metric);
        if (!result.empty())
            return result;
        result = {Metric::Sparsity, Metric::SpanMass, Metric::Concentration};
        if (methods.given())
            result.insert(
                result.end(), {Metric::RetainedMass, Metric::KeptSpans, Metric::BrokenShots, Metric::GlobalEviction});
        if (methods.specs.size() > 1)
            result.push_back(Metric::MethodOverlap);
        return result;
    }
};

/// Takes rows and brings them to standard output in the form that was asked for.
class Output {
public:
    Output(const Options& options, Progress& progress, const std::vector<const MetricInfo*>& tables)
        : m_options(options)
        , m_progress(progress)
        , m_csv(tables)
        , m_means(!options.heads.empty())
    {
        if (options.csv)
            m_pending = m_csv.header();
    }

    void add(const MeasureRow& row)
    {
        static constexpr std::size_t flushedBytes = std::size_t{1} << 16;
        if (m_options.csv)
            m_pending += m_csv.line(row);
        else if (m_options.json)
            m_pending += measureJson(row);
        else
            m_means.add(row);
        if (m_pending.size() >= flushedBytes)
            flush();
    }

    void finish()
    {
        if (!m_options.csv && !m_options.json)
            m_pending = tablesText();
        flush();
    }

private:
    void flush()
    {
        m_progress.clear();
        fmt::print("{}", m_pending);
        m_pending.clear();
    }

    static std::string shown(const MeasureCell& cell)
    {
        const auto* number = std::get_if<double>(&cell);
        return number != nullptr && *number == *number ? fmt::format("{:.4g}", *number) : measureText(cell);
    }

    /// What the reader knows anyway: columns of one value, and the budget said twice.
    static bool isHidden(const HeadMeans::Table& table, std::size_t column)
    {
        const std::string& name = table.columns[column].name;
        if (name == "keep_fraction")
            return true;
        if (name != "recording" && name != "sample" && name != "id" && name != "granularity")
            return false;
        return std::ranges::all_of(
            table.rows, [&](const auto& row) { return row[column] == table.rows.front()[column]; });
    }

    std::string tablesText() const
    {
        std::string text;
        for (const HeadMeans::Table& table : m_means.tables()) {
            std::vector<std::size_t> columns;
            std::vector<std::string> headings;
            for (std::size_t column = 0; column < table.columns.size(); ++column) {
                if (isHidden(table, column))
                    continue;
                const auto& value = table.rows.front()[column];
                columns.push_back(column);
                headings.push_back(
                    (std::holds_alternative<std::string>(value) ? "" : ">") + table.columns[column].name);
            }
            TextTable lines(std::move(headings));
            for (const auto& row : table.rows) {
                std::vector<std::string> cells;
                for (const std::size_t column : columns)
                    cells.push_back(shown(row[column]));
                lines.add(std::move(cells));
            }
            const bool averaged = table.columns.size() < table.metric->columns.size();
            text += fmt::format("{}{}: {}{}\n{}", text.empty() ? "" : "\n", table.metric->name, table.metric->summary,
                averaged ? ", mean over heads" : "", lines.text());
        }
        return text;
    }

    const Options& m_options;
    Progress& m_progress;
    MeasureCsv m_csv;
    HeadMeans m_means;
    std::string m_pending;
};

AnalysisOptions analysisOptions(const Options& options, RecordingCache* cache)
{
    AnalysisOptions result;
    result.cache = cache;
    result.metrics = options.metrics();
    result.methods = options.methods.methods();
    result.budgets = options.methods.budgets();
    result.decodeBudget = options.methods.decodeBudget();
    result.lastRows = options.rows;
    result.layers = options.layers;
    result.heads = options.heads;
    return result;
}

/// Analyses `samples` of one recording, one stage of `progress`; `add` gets the number of the sample within `samples`.
template <class Add>
void analyse(
    const Options& options, const Recording& recording, const std::vector<int>& samples, Progress& progress, Add add)
{
    std::optional<RecordingCache> cache;
    if (!options.withoutCache)
        cache.emplace(recording);
    const Analysis analysis(recording, analysisOptions(options, cache ? &*cache : nullptr));
    const SampleLayouts layouts(recording, options.samples);
    progress.begin(
        fmt::format("analysing {}", recording.path().filename().string()), static_cast<double>(samples.size()));
    for (std::size_t done = 0; done < samples.size(); ++done) {
        const bool finished = analysis.run(
            samples[done], layouts.of(samples[done]), [&](const MeasureRow& row) { add(done, row); },
            [&](double fraction) { return progress.advance(static_cast<double>(done) + fraction); });
        if (!finished || (InterruptGuard::requested() && done + 1 < samples.size()))
            throw Error(
                fmt::format("{}: interrupted in sample {} of {}", recording.path().string(), done + 1, samples.size()));
    }
    progress.end();
}

std::vector<const MetricInfo*> tablesOf(const std::vector<Metric>& metrics)
{
    std::vector<const MetricInfo*> tables;
    for (const Metric metric : metrics)
        tables.push_back(&metricInfo(metric));
    return tables;
}

void runEach(const Options& options, Progress& progress)
{
    Output output(options, progress, tablesOf(options.metrics()));
    for (const std::string& path : options.recordings) {
        const Recording recording = Recording::open(path);
        analyse(options, recording, options.samples.samplesOf(recording), progress,
            [&](std::size_t, const MeasureRow& row) { output.add(row); });
    }
    output.finish();
}

void runPair(const Options& options, Progress& progress)
{
    const Recording first = Recording::open(options.recordings[0]);
    const Recording second = Recording::open(options.recordings[1]);
    std::vector<int> firstSamples;
    std::vector<int> secondSamples;
    const std::vector<int> wanted = options.samples.samplesOf(first);
    for (const auto& [a, b] : pairedSamples(first, second)) {
        if (std::ranges::find(wanted, a) == wanted.end())
            continue;
        firstSamples.push_back(a);
        secondSamples.push_back(b);
    }
    if (firstSamples.empty())
        throw Error(fmt::format("{}: found none of the samples of {} that --sample names, by pair_id",
            second.path().string(), first.path().string()));

    PairComparison comparison(options.metrics());
    using Side = PairComparison::Side;
    analyse(options, first, firstSamples, progress,
        [&](std::size_t pair, const MeasureRow& row) { comparison.add(Side::First, static_cast<int>(pair), row); });
    analyse(options, second, secondSamples, progress,
        [&](std::size_t pair, const MeasureRow& row) { comparison.add(Side::Second, static_cast<int>(pair), row); });
    Output output(options, progress, comparison.tables());
    BootstrapOptions bootstrap;
    bootstrap.seed = options.seed;
    comparison.write(bootstrap, [&](const MeasureRow& row) { output.add(row); });
    output.finish();
}

void checkUsage(const Options& options)
{
    const auto metrics = options.metrics();
    const auto needsMethods
        = std::ranges::find_if(metrics, [](Metric metric) { return metricInfo(metric).needsMethods; });
    if (options.methods.given()) {
        options.methods.require();
        if (needsMethods == metrics.end())
            throw CLI::ValidationError("--method",
                fmt::format("found methods and no metric that measures them, expected one of those that do"));
    } else if (needsMethods != metrics.end()) {
        throw CLI::ValidationError("--metric",
            fmt::format(
                "{} measures methods: found none, expected --method and a budget", metricInfo(*needsMethods).name));
    }
    if (options.pair && options.recordings.size() != 2)
        throw CLI::ValidationError(
            "--pair", fmt::format("found {} recordings, expected two", options.recordings.size()));
    if (options.pair && std::ranges::find(metrics, Metric::SparsityRows) != metrics.end())
        throw CLI::ValidationError("--metric", "sparsity_rows cannot be paired query by query, expected sparsity");
}

std::string metricHelp()
{
    std::vector<std::string> names;
    for (const MetricInfo& info : metricCatalog())
        names.push_back(info.name);
    return fmt::format(
        "What to measure: {}. Without: sparsity, span_mass, concentration, and with methods retained_mass, "
        "kept_spans, broken_shots, global_eviction, method_overlap",
        fmt::join(names, ", "));
}

} // namespace

void addAnalyzeCommand(CLI::App& program)
{
    auto options = std::make_shared<Options>();
    CLI::App* command = program.add_subcommand(
        "analyze", "Measure sparsity, attention by span, and what methods lose, as tables, CSV or JSON lines");
    command->add_option("REC", options->recordings, "Recordings: HDF5 files, or folders of parts of some that grow")
        ->required()
        ->type_name("");
    command->add_option("--metric", options->metricNames, metricHelp())
        ->delimiter(',')
        ->allow_extra_args(false)
        ->check(parses([](const std::string& text) { findMetric(text); }))
        ->type_name("M,M,...");
    options->methods.addTo(*command);
    options->samples.addTo(*command);
    command->add_option("--rows", options->rows, "Prompt queries that \"last\" stands for: the last N")
        ->check(CLI::Range(std::int64_t{1}, std::int64_t{1'000'000'000}))
        ->capture_default_str()
        ->type_name("N");
    command->add_option("--layer", options->layers, "Layers to report on; all without")
        ->delimiter(',')
        ->allow_extra_args(false)
        ->check(CLI::NonNegativeNumber)
        ->type_name("N,N,...");
    command->add_option("--head", options->heads, "Query heads to report on; all without, and tables show their mean")
        ->delimiter(',')
        ->allow_extra_args(false)
        ->check(CLI::NonNegativeNumber)
        ->type_name("N,N,...");
    command->add_flag("--pair", options->pair,
        "Compare two recordings of the same questions (pair_id): means, differences, 95 % bootstrap intervals");
    command->add_option("--seed", options->seed, "Of the bootstrap")->capture_default_str()->type_name("N");
    command->add_flag("--no-cache", options->withoutCache,
        "Neither read nor write REC.kvcache, which keeps what takes a pass over all rows");
    CLI::Option* json = command->add_flag("--json", options->json, "One JSON object per line, a row each");
    command->add_flag("--csv", options->csv, "One CSV table, units in the names of the columns")->excludes(json);
    command->add_option("--progress", options->progress, "bar, json or none")
        ->check(CLI::IsMember({"bar", "json", "none"}))
        ->capture_default_str();
    command->footer("Examples:\n  kvloupe analyze fewshot.h5 --metric sparsity,span_mass --csv\n"
                    "  kvloupe analyze fewshot.h5 --method snapkv --method h2o --keep 0.1,0.3\n"
                    "  kvloupe analyze instruct.h5 reasoning.h5 --pair");
    command->callback([options] {
        checkUsage(*options);
        const InterruptGuard interrupt;
        Progress progress(progressModeFromName(options->progress).value_or(ProgressMode::Bar));
        if (options->pair)
            runPair(*options, progress);
        else
            runEach(*options, progress);
    });
}

} // namespace kvloupe
