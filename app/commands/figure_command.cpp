// SPDX-License-Identifier: GPL-3.0-or-later

#include "app/commands/figure_command.h"

#include "core/error.h"
#include "views/figure/figure_command.h"
#include "views/figure/figure_spec.h"
#include "views/session/viewer.h"

#include <CLI/CLI.hpp>
#include <QGuiApplication>

#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace kvloupe {

namespace {

/// Options as they were typed; those that were not leave the SPEC file's value, or the default.
struct FigureOptions {
    std::string name;
    std::string recording;
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
    bool noShade = false;
    bool noTokens = false;
    bool noSpans = false;
};

FigureSpec readSpec(const std::filesystem::path& path)
{
    static constexpr std::size_t largestSpec = std::size_t{1} << 20;
    std::ifstream file(path, std::ios::binary);
    if (!file)
        throw Error(fmt::format("{}: cannot be opened", path.string()));
    std::string text;
    for (std::istreambuf_iterator<char> next(file), end; next != end && text.size() <= largestSpec; ++next)
        text += *next;
    if (text.size() > largestSpec)
        throw Error(fmt::format("{}: larger than 1 MiB, expected a figure's description", path.string()));
    return figureSpecFromJson(text, path);
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

FigureSpec specOf(const FigureOptions& options)
{
    FigureSpec spec;
    if (options.name.ends_with(".json"))
        spec = readSpec(options.name);
    else if (options.name != "attention")
        throw Error(fmt::format("no figure is called \"{}\", expected attention or a SPEC.json", options.name));
    const auto take = [](const auto& option, auto& value) {
        if (option)
            value = *option;
    };
    if (!options.recording.empty())
        spec.recording = options.recording;
    if (spec.recording.empty())
        throw Error("figure: no recording was given, expected one after the name of the figure");
    take(options.sample, spec.sample);
    take(options.layer, spec.layer);
    take(options.head, spec.head);
    if (!options.methods.empty())
        spec.methods = options.methods;
    if (options.keep)
        spec.budget = Budget::keep(std::string_view(*options.keep));
    if (options.capacity)
        spec.budget = Budget::capacity(*options.capacity);
    if (options.compressionRatio)
        spec.budget = Budget::compressionRatio(std::string_view(*options.compressionRatio));
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

void runFigure(const FigureOptions& options)
{
    const FigureSpec spec = specOf(options);
    choosePlatform(false);
    int argc = 1;
    std::string name = "kvloupe-view";
    char* argv[] = {name.data(), nullptr};
    const QGuiApplication application(argc, argv);
    writeFigure(spec, {options.outputs.begin(), options.outputs.end()});
}

} // namespace

void addFigureCommand(CLI::App& program)
{
    CLI::App* command = program.add_subcommand("figure", "Write a figure as PDF, SVG, PNG or CSV");
    command->footer("Example:\n  kvloupe figure attention fewshot.h5 --layer 12 --head 7 --method snapkv --method h2o "
                    "--keep 0.3 --out "
                    "map.pdf --out map.png");
    auto options = std::make_shared<FigureOptions>();
    command->add_option("NAME", options->name, "attention, or a SPEC.json with these options as fields")->required();
    command->add_option("RECORDING", options->recording, "Recording, or folder of parts");
    command
        ->add_option("--out", options->outputs, "File to write, .pdf, .svg, .png or .csv; may be given several times")
        ->type_name("FILE")
        ->required()
        ->allow_extra_args(false);
    command->add_option("--sample", options->sample, "Number or id of the sample");
    command->add_option("--layer", options->layer, "Layer");
    command->add_option("--head", options->head, "Query head");
    command
        ->add_option("--method", options->methods,
            "Method to show as a strip: name[@preset][:key=value,...]; may be given several times")
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
