// SPDX-License-Identifier: GPL-3.0-or-later

#include "app/commands/figure_command.h"

#include "core/error.h"
#include "core/methods/nearest_names.h"
#include "views/composer/figure_kinds.h"
#include "views/composer/page_figure.h"
#include "views/composer/replay_panel.h"
#include "views/figure/attention_panel.h"
#include "views/figure/figure_spec.h"
#include "views/figure/spec_fields.h"
#include "views/results/results_figure.h"
#include "views/session/viewer.h"
#include "views/sparsity/sparsity_figure.h"

#include <CLI/CLI.hpp>
#include <QGuiApplication>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace kvloupe {

namespace {

constexpr const char* attentionName = "attention";

/// Options as they were typed; those that were not leave the SPEC file's value, or the default.
struct FigureOptions {
    std::string name;
    std::vector<std::string> inputs;
    std::vector<std::string> outputs;
    std::optional<std::string> sample;
    std::optional<int> layer;
    std::optional<int> head;
    std::vector<std::string> methods;
    std::optional<std::string> keep;
    std::optional<std::int64_t> capacity;
    std::optional<std::string> compressionRatio;
    std::optional<std::string> colorMap;
    std::optional<std::string> scale;
    std::optional<std::string> pooling;
    std::optional<double> low;
    std::optional<double> high;
    std::optional<std::string> queries;
    std::optional<std::string> keys;
    std::optional<std::string> title;
    std::optional<double> width;
    std::optional<double> height;
    std::optional<double> font;
    std::optional<int> dpi;
    std::optional<int> columns;
    std::optional<std::string> measure;
    std::optional<std::string> axis;
    std::optional<std::string> lines;
    std::optional<std::string> table;
    std::vector<std::string> tasks;
    bool noShade = false;
    bool noTokens = false;
    bool noSpans = false;
    bool paper = false;
    bool ownScale = false;
};

/// An option of one kind of figure, by its name and whether it was typed.
struct TypedOption {
    const char* name;
    bool typed;
};

/// Options that say nothing about a figure are mistakes, not to be passed over.
void refuse(const FigureOptions& options, std::initializer_list<TypedOption> others)
{
    for (const TypedOption& option : others)
        if (option.typed)
            throw Error(fmt::format("{}: found with the figure {}, which has no such option; kvloupe figure --help",
                option.name, options.name));
}

void refuseMapOptions(const FigureOptions& options)
{
    refuse(options,
        {{"--layer", options.layer.has_value()}, {"--head", options.head.has_value()},
            {"--keep", options.keep.has_value()}, {"--capacity", options.capacity.has_value()},
            {"--compression-ratio", options.compressionRatio.has_value()}, {"--colormap", options.colorMap.has_value()},
            {"--scale", options.scale.has_value()}, {"--pooling", options.pooling.has_value()},
            {"--low", options.low.has_value()}, {"--high", options.high.has_value()},
            {"--queries", options.queries.has_value()}, {"--keys", options.keys.has_value()},
            {"--no-shade", options.noShade}, {"--no-tokens", options.noTokens}, {"--no-spans", options.noSpans}});
}

void refuseResultOptions(const FigureOptions& options)
{
    refuse(options,
        {{"--axis", options.axis.has_value()}, {"--lines", options.lines.has_value()},
            {"--task", !options.tasks.empty()}, {"--paper", options.paper}, {"--own-scale", options.ownScale},
            {"--table", options.table.has_value()}});
}

template <typename Value, typename Parse>
void choose(const std::optional<std::string>& text, std::string_view option, Value& value, Parse parse,
    std::string_view expected)
{
    if (!text)
        return;
    const auto parsed = parse(*text);
    if (!parsed)
        throw Error(fmt::format("{}: found \"{}\", expected {}", option, *text, expected));
    value = *parsed;
}

template <typename Option, typename Value> void take(const Option& option, Value& value)
{
    if (option)
        value = *option;
}

void takePage(const FigureOptions& options, ChartPage& page, std::optional<std::string>& title)
{
    take(options.width, page.widthMm);
    take(options.height, page.heightMm);
    take(options.font, page.fontPoints);
    take(options.dpi, page.dpi);
    take(options.columns, page.columns);
    if (options.title)
        title = *options.title;
    checkChartPage(page);
}

ResultsFigure resultsFigure(const FigureOptions& options, ResultsFigure figure)
{
    refuseMapOptions(options);
    refuse(options, {{"--sample", options.sample.has_value()}});
    if (!figure.published)
        refuse(options, {{"--measure", options.measure.has_value()}, {"--table", options.table.has_value()}});
    else
        refuse(options,
            {{"--axis", options.axis.has_value()}, {"--paper", options.paper}, {"--task", !options.tasks.empty()}});
    if (!options.inputs.empty())
        figure.files.assign(options.inputs.begin(), options.inputs.end());
    choose(options.measure, "--measure", figure.spec.measure, resultMeasureFromName, "accuracy or relative-drop");
    choose(options.axis, "--axis", figure.spec.axis, resultAxisFromName, "kept, realised or tokens");
    choose(options.lines, "--lines", figure.spec.lines, resultLinesFromName, "methods, tasks, shots or models");
    take(options.table, figure.spec.table);
    if (!options.tasks.empty())
        figure.spec.tasks = options.tasks;
    if (!options.methods.empty())
        figure.spec.methods = options.methods;
    figure.spec.paper |= options.paper;
    figure.spec.sameScale &= !options.ownScale;
    takePage(options, figure.page, figure.title);
    return figure;
}

SparsityFigure sparsityFigure(const FigureOptions& options, SparsityFigure figure)
{
    refuseMapOptions(options);
    refuseResultOptions(options);
    refuse(options,
        {{"--method", !options.methods.empty()},
            {"--measure", figure.kind != SparsityFigureKind::Sparsity && options.measure.has_value()}});
    if (!options.inputs.empty())
        figure.request.recordings.assign(options.inputs.begin(), options.inputs.end());
    if (options.sample)
        figure.request.sample = *options.sample;
    choose(options.measure, "--measure", figure.measure, sparsityMeasureFromName,
        "entropy, effective-keys, gini, top-1, top-8, top-64, sink or row-max");
    takePage(options, figure.page, figure.title);
    return figure;
}

void takeMethods(const FigureOptions& options, std::vector<std::string>& methods, Budget& budget)
{
    if (!options.methods.empty())
        methods = options.methods;
    if (options.keep)
        budget = Budget::keep(std::string_view(*options.keep));
    if (options.capacity)
        budget = Budget::capacity(*options.capacity);
    if (options.compressionRatio)
        budget = Budget::compressionRatio(std::string_view(*options.compressionRatio));
}

FigureSpec attentionFigure(const FigureOptions& options, FigureSpec spec)
{
    refuseResultOptions(options);
    refuse(options, {{"--measure", options.measure.has_value()}, {"--columns", options.columns.has_value()}});
    if (options.inputs.size() > 1)
        throw Error(fmt::format("figure: found {} recordings, expected one", options.inputs.size()));
    if (!options.inputs.empty())
        spec.recording = options.inputs.front();
    if (spec.recording.empty())
        throw Error("figure: no recording was given, expected one after the name of the figure");
    take(options.sample, spec.sample);
    take(options.layer, spec.layer);
    take(options.head, spec.head);
    takeMethods(options, spec.methods, spec.budget);
    choose(options.colorMap, "--colormap", spec.colorMap, colorMapFromName, "viridis, cividis, magma, inferno or grey");
    choose(options.scale, "--scale", spec.scale, colorScaleFromName, "linear, log or sqrt");
    choose(
        options.pooling, "--pooling", spec.pooling,
        [](std::string_view text) -> std::optional<Pooling> {
            for (const Pooling pooling : {Pooling::Max, Pooling::Mean}) {
                if (text == poolingName(pooling))
                    return pooling;
            }
            return std::nullopt;
        },
        "max or mean");
    take(options.low, spec.range.low);
    take(options.high, spec.range.high);
    if (options.queries)
        spec.queries = parseTokenRange(*options.queries, "--queries", -1);
    if (options.keys)
        spec.keys = parseTokenRange(*options.keys, "--keys", -1);
    if (options.title)
        spec.title = *options.title;
    take(options.width, spec.widthMm);
    take(options.height, spec.heightMm);
    take(options.font, spec.fontPoints);
    take(options.dpi, spec.dpi);
    spec.shadeDropped &= !options.noShade;
    spec.showTokens &= !options.noTokens;
    spec.showSpans &= !options.noSpans;
    checkFigureSpec(spec);
    return spec;
}

ReplaySpec replayFigure(const FigureOptions& options, ReplaySpec spec)
{
    refuseResultOptions(options);
    refuse(options,
        {{"--measure", options.measure.has_value()}, {"--columns", options.columns.has_value()},
            {"--colormap", options.colorMap.has_value()}, {"--scale", options.scale.has_value()},
            {"--pooling", options.pooling.has_value()}, {"--low", options.low.has_value()},
            {"--high", options.high.has_value()}, {"--queries", options.queries.has_value()},
            {"--no-shade", options.noShade}, {"--no-tokens", options.noTokens}, {"--no-spans", options.noSpans}});
    if (options.inputs.size() > 1)
        throw Error(fmt::format("figure {}: found {} recordings, expected one", options.name, options.inputs.size()));
    if (!options.inputs.empty())
        spec.recording = options.inputs.front();
    take(options.sample, spec.sample);
    take(options.layer, spec.layer);
    take(options.head, spec.head);
    takeMethods(options, spec.methods, spec.budget);
    if (options.keys)
        spec.keys = parseTokenRange(*options.keys, "--keys", -1);
    take(options.title, spec.title);
    take(options.width, spec.widthMm);
    take(options.height, spec.heightMm);
    take(options.font, spec.fontPoints);
    take(options.dpi, spec.dpi);
    checkReplaySpec(spec);
    return spec;
}

/// Several maps side by side, each of a recording of its own, in one range of colours.
PageSpec attentionPage(const FigureOptions& options)
{
    PageSpec page;
    page.columns = options.columns.value_or(static_cast<int>(std::min<std::size_t>(options.inputs.size(), 4)));
    FigureOptions one = options;
    one.columns.reset();
    one.width.reset();
    for (const std::string& input : options.inputs) {
        one.inputs = {input};
        page.panels.emplace_back().figure = std::make_shared<AttentionPanel>(attentionFigure(one, {}));
    }
    take(options.width, page.widthMm);
    take(options.font, page.fontPoints);
    take(options.dpi, page.dpi);
    checkPage(page);
    return page;
}

PageSpec pageFigure(const FigureOptions& options, PageSpec page)
{
    refuseMapOptions(options);
    refuseResultOptions(options);
    refuse(options,
        {{"--measure", options.measure.has_value()}, {"--sample", options.sample.has_value()},
            {"--method", !options.methods.empty()}, {"--title", options.title.has_value()},
            {"--height", options.height.has_value()}});
    if (!options.inputs.empty())
        throw Error(fmt::format("{}: found input {} beside a page, expected none: its panels name theirs", options.name,
            options.inputs.front()));
    take(options.width, page.widthMm);
    take(options.font, page.fontPoints);
    take(options.dpi, page.dpi);
    take(options.columns, page.columns);
    checkPage(page);
    return page;
}

/// A figure of any kind, or a page of several.
using AnyFigure = std::variant<std::shared_ptr<const PanelSpec>, PageSpec>;

AnyFigure figureNamed(const FigureOptions& options, const std::string& name)
{
    if (name == attentionName && options.inputs.size() > 1)
        return attentionPage(options);
    if (name == attentionName)
        return std::make_shared<AttentionPanel>(attentionFigure(options, {}));
    if (const auto results = resultsFigureOf(name))
        return std::make_shared<ResultsPanel>(resultsFigure(options, *results));
    if (const auto sparsity = sparsityFigureOf(name))
        return std::make_shared<SparsityPanel>(sparsityFigure(options, *sparsity));
    if (isReplayFigure(name))
        return std::make_shared<ReplayPanel>(name, replayFigure(options, {}));
    const std::vector<std::string> names = panelNames();
    throw Error(fmt::format("no figure is called \"{}\"{}; expected one of {}, or a SPEC.json", shownName(name),
        didYouMean(name, names), fmt::join(names, ", ")));
}

AnyFigure figureFromSpec(const FigureOptions& options)
{
    const std::filesystem::path path = options.name;
    const std::string text = readSpecText(path);
    const std::string name = figureNameOf(text, path);
    if (name == pageFigureName)
        return pageFigure(options, pageFromJson(text, path));
    if (resultsFigureOf(name))
        return std::make_shared<ResultsPanel>(resultsFigure(options, resultsFigureFromJson(text, path)));
    if (sparsityFigureOf(name))
        return std::make_shared<SparsityPanel>(sparsityFigure(options, sparsityFigureFromJson(text, path)));
    if (isReplayFigure(name)) {
        SpecFields fields(text, path);
        ReplaySpec spec = replaySpecFromFields(fields);
        fields.rejectUnknown();
        return std::make_shared<ReplayPanel>(name, replayFigure(options, std::move(spec)));
    }
    if (name != attentionName)
        throw Error(fmt::format("{}: field \"figure\" is \"{}\", expected {} or one of {}", options.name,
            shownName(name), pageFigureName, fmt::join(panelNames(), ", ")));
    return std::make_shared<AttentionPanel>(attentionFigure(options, figureSpecFromJson(text, path)));
}

/// A figure of arXiv 2502.01941v4 as a figure of ours: of inputs, and without any as the paper prints it.
struct PaperFigure {
    const char* number;
    const char* name;
    const char* lines; ///< empty = the figure's own
    const char* printedMeasure; ///< empty = not printed as numbers
    const char* printedTable; ///< empty = the one that has such lines
};

constexpr std::array paperFigures{PaperFigure{"1a", "accuracy", "", "accuracy", ""},
    PaperFigure{"1b", "attention", "", "", ""}, PaperFigure{"2", "attention", "", "", ""},
    PaperFigure{"3", "cumulative", "", "", ""}, PaperFigure{"4a", "accuracy", "tasks", "accuracy", ""},
    PaperFigure{"4b", "relative-drop", "tasks", "relative-drop", ""}, PaperFigure{"5", "accuracy", "", "accuracy", ""},
    PaperFigure{"6", "accuracy", "models", "accuracy", ""}, PaperFigure{"7", "accuracy", "shots", "accuracy", ""},
    PaperFigure{"8", "accuracy", "", "accuracy", "10"}};

constexpr std::string_view paperPrefix = "paper:";

/// "paper:4a" as the options it stands for; options that were typed count more.
FigureOptions paperOptions(FigureOptions options)
{
    const std::string number = options.name.substr(paperPrefix.size());
    const auto found = std::ranges::find(paperFigures, number, &PaperFigure::number);
    std::vector<std::string> numbers;
    for (const PaperFigure& figure : paperFigures)
        numbers.emplace_back(figure.number);
    if (found == paperFigures.end())
        throw Error(fmt::format("{}: the paper has no such figure of numbers that are known, expected one of {}",
            shownName(options.name), fmt::join(numbers, ", ")));
    options.name = found->name;
    const bool isPrinted = options.inputs.empty() && *found->printedMeasure != '\0';
    if (isPrinted) {
        options.name = "published";
        options.measure = options.measure.value_or(found->printedMeasure);
        if (*found->printedTable != '\0')
            options.table = options.table.value_or(found->printedTable);
    }
    if (*found->lines != '\0')
        options.lines = options.lines.value_or(found->lines);
    return options;
}

void write(const std::shared_ptr<const PanelSpec>& figure, const std::vector<std::filesystem::path>& outputs)
{
    writePanel(*figure, outputs);
}

void write(const PageSpec& page, const std::vector<std::filesystem::path>& outputs)
{
    writePageFigure(page, outputs);
}

void runFigure(const FigureOptions& typed)
{
    const FigureOptions options = typed.name.starts_with(paperPrefix) ? paperOptions(typed) : typed;
    const AnyFigure figure
        = options.name.ends_with(".json") ? figureFromSpec(options) : figureNamed(options, options.name);
    choosePlatform(false);
    int argc = 1;
    std::string name = "kvloupe-view";
    char* argv[] = {name.data(), nullptr};
    const QGuiApplication application(argc, argv);
    const std::vector<std::filesystem::path> outputs(options.outputs.begin(), options.outputs.end());
    std::visit([&](const auto& which) { write(which, outputs); }, figure);
}

} // namespace

void addFigureCommand(CLI::App& program)
{
    CLI::App* command = program.add_subcommand("figure", "Write a figure as PDF, SVG, PNG, CSV or LaTeX");
    command->footer("Example:\n  kvloupe figure attention fewshot.h5 --layer 12 --head 7 --method snapkv --method h2o "
                    "--keep 0.3 --out "
                    "map.pdf --out map.png\n  kvloupe figure accuracy results.jsonl --paper --out accuracy.pdf\n"
                    "  kvloupe figure sparsity instruct.h5 reasoning.h5 --measure gini --out sparsity.pdf");
    auto options = std::make_shared<FigureOptions>();
    command
        ->add_option("NAME", options->name,
            "attention: the map of one head; accuracy, relative-drop, nll, kl: results by task, method and budget; "
            "published: what the paper prints; sparsity, cumulative, spans: how concentrated attention is, and on "
            "what; overlap, shots, timeline, text, heads: what methods keep of a sample; "
            "paper:1a to paper:8: the paper's figures; or a SPEC.json "
            "with these options as fields, or with panels of a page")
        ->required();
    command->add_option("INPUTS", options->inputs,
        "Recordings for attention (several: maps side by side) and sparsity, results files for results");
    command
        ->add_option(
            "--out", options->outputs, "File to write, .pdf, .svg, .png, .csv or .tex; may be given several times")
        ->type_name("FILE")
        ->required()
        ->allow_extra_args(false);
    command->add_option("--sample", options->sample, "Number or id of the sample");
    command->add_option("--layer", options->layer, "Layer");
    command->add_option("--head", options->head, "Query head");
    command
        ->add_option("--method", options->methods,
            "Method to show as a strip, or as a line of results: name[@preset][:key=value,...]; may be given several "
            "times")
        ->type_name("SPEC")
        ->allow_extra_args(false);
    CLI::Option* keep
        = command->add_option("--keep", options->keep, "Share of the prompt that methods keep")->type_name("R");
    CLI::Option* capacity
        = command->add_option("--capacity", options->capacity, "Tokens per head that methods keep")->type_name("N");
    CLI::Option* ratio
        = command
              ->add_option("--compression-ratio", options->compressionRatio, "Share of the prompt that methods remove")
              ->type_name("C");
    keep->excludes(capacity)->excludes(ratio);
    capacity->excludes(ratio);
    command->add_option("--measure", options->measure,
        "sparsity: entropy, effective-keys, gini, top-1, top-8, top-64, sink or row-max; published: accuracy or "
        "relative-drop");
    command->add_option("--axis", options->axis, "Budgets of results as kept, realised or tokens");
    command->add_option("--lines", options->lines,
        "What a line of results is: methods, or with means over methods tasks, shots or models");
    command->add_option("--task", options->tasks, "Tasks of results to show; may be given several times")
        ->type_name("NAME")
        ->allow_extra_args(false);
    command->add_flag("--paper", options->paper, "Under each task what the paper prints for it, dashed");
    command->add_flag("--own-scale", options->ownScale, "Every panel of results has its own range");
    command->add_option("--table", options->table, "published: table of the paper")->type_name("N");
    command->add_option("--columns", options->columns, "Panels side by side; as many as fit without")->type_name("N");
    command->add_option("--colormap", options->colorMap, "viridis, cividis, magma, inferno or grey");
    command->add_option("--scale", options->scale, "linear, log or sqrt");
    command->add_option("--pooling", options->pooling, "max or mean of the cells one pixel covers");
    command->add_option("--low", options->low, "Value of the first colour");
    command->add_option("--high", options->high, "Value of the last colour");
    command->add_option("--queries", options->queries, "Queries to show")->type_name("BEGIN:END");
    command->add_option("--keys", options->keys, "Keys to show")->type_name("BEGIN:END");
    command->add_option("--title", options->title, "Line above the figure; \"\" for none");
    command->add_option("--width", options->width, "Width in millimetres");
    command->add_option("--height", options->height, "Height in millimetres; 0 for square cells");
    command->add_option("--font", options->font, "Size of the text in points");
    command->add_option("--dpi", options->dpi, "Density of the map, and of PNG files");
    command->add_flag("--no-shade", options->noShade, "Do not pale the columns the first method drops");
    command->add_flag("--no-tokens", options->noTokens, "Token positions on the axes, never their text");
    command->add_flag("--no-spans", options->noSpans, "No bands for shots and other sections");
    command->callback([options] { runFigure(*options); });
}

} // namespace kvloupe
