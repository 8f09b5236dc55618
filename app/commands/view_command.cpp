// SPDX-License-Identifier: GPL-3.0-or-later

#include "app/commands/view_command.h"

#include "app/version.h"
#include "core/error.h"
#include "core/methods/budget.h"
#include "core/progress/interrupt.h"
#include "views/results/results_data.h"
#include "views/session/viewer.h"

#include <CLI/CLI.hpp>
#include <QApplication>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <fmt/format.h>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace kvloupe {

namespace {

struct ViewOptions {
    std::vector<std::string> files;
    bool fresh = false;
    std::string sample;
    int layer = -1;
    int head = -1;
    std::int64_t token = -1;
    std::vector<std::string> methods;
    std::string keep;
    std::vector<std::string> views;
    std::string theme;
    std::string size;
    std::string screenshot;
};

QSize parseSize(const std::string& text)
{
    int width = 0;
    int height = 0;
    char rest = 0;
    // NOLINTNEXTLINE(cert-err34-c): both numbers are checked below
    if (std::sscanf(text.c_str(), "%5dx%5d%c", &width, &height, &rest) != 2 || width < 200 || height < 150)
        throw Error(fmt::format(
            "--size: found \"{}\", expected WIDTHxHEIGHT of at least 200x150, for example 1600x1000", text));
    return {width, height};
}

ViewerRequest requestOf(const ViewOptions& options)
{
    ViewerRequest request;
    request.files.assign(options.files.begin(), options.files.end());
    request.fresh = options.fresh;
    if (!options.sample.empty())
        request.start.sample = options.sample;
    if (options.layer >= 0)
        request.start.layer = options.layer;
    if (options.head >= 0)
        request.start.head = options.head;
    if (options.token >= 0)
        request.start.token = options.token;
    request.methods = options.methods;
    if (!options.keep.empty())
        request.keepPermille = static_cast<int>(
            std::lround(Budget::keep(std::string_view(options.keep)).fractionKept(1'000'000) * 1000.0));
    request.views = options.views;
    if (!options.theme.empty())
        request.theme = themeFromName(options.theme);
    if (!options.size.empty())
        request.size = parseSize(options.size);
    request.screenshot = options.screenshot;
    if (!request.screenshot.empty()
        && (request.files.empty() || std::ranges::count_if(request.files, std::not_fn(isResultsFile)) > 1))
        throw Error("--screenshot: expected one recording, or files of results");
    return request;
}

void runView(const ViewOptions& options)
{
    const ViewerRequest request = requestOf(options);
    choosePlatform(request.screenshot.empty());
    int argc = 1;
    std::string name = "kvloupe-view";
    char* argv[] = {name.data(), nullptr};
    QApplication application(argc, argv);
    QCoreApplication::setApplicationName(QStringLiteral("kvloupe-view"));
    QCoreApplication::setApplicationVersion(
        QString::fromUtf8(programVersion.data(), static_cast<qsizetype>(programVersion.size())));
    QGuiApplication::setApplicationDisplayName(QStringLiteral("KVLoupe"));
    QGuiApplication::setDesktopFileName(QStringLiteral("kvloupe"));
    const InterruptGuard interrupt;
    runViewer(request, [] { return InterruptGuard::requested(); });
}

} // namespace

void addViewCommand(CLI::App& program)
{
    CLI::App* command = program.add_subcommand("view", "Open recordings and results in the window");
    command->footer("Example:\n  kvloupe view fewshot.h5\n"
                    "  kvloupe view results.jsonl\n"
                    "  kvloupe view fewshot.h5 --layer 12 --head 7 --keep 0.3 --screenshot window.png");
    auto options = std::make_shared<ViewOptions>();
    command->add_option("FILES", options->files,
        "Recordings, folders of parts of ones that are still being made, and results of kvloupe evaluate (.jsonl)");
    command->add_flag("--fresh", options->fresh, "Ignore remembered settings, and remember none");
    command->add_option("--sample", options->sample, "Sample to show: its number or id");
    command->add_option("--layer", options->layer, "Layer to show")->check(CLI::NonNegativeNumber);
    command->add_option("--head", options->head, "Query head to show")->check(CLI::NonNegativeNumber);
    command->add_option("--token", options->token, "Token to mark, its number in the prompt")
        ->check(CLI::NonNegativeNumber);
    command
        ->add_option("--method", options->methods,
            "Methods to compare instead of the remembered ones: name[@preset][:key=value,...]")
        ->type_name("SPEC");
    command->add_option("--keep", options->keep, "Share of the prompt that methods keep, 0 to 1")->type_name("R");
    command
        ->add_option("--show", options->views, "Views to bring to the front: samples, heads, methods, text, why, ...")
        ->type_name("VIEW");
    command->add_option("--theme", options->theme, "Look of the window, whatever is remembered")
        ->check(CLI::IsMember(std::vector<std::string>{"system", "light", "dark"}));
    command->add_option("--size", options->size, "Size of the window, for example 1600x1000")->type_name("WxH");
    command
        ->add_option("--screenshot", options->screenshot,
            "Write a picture of the window to this PNG file and end; needs no display")
        ->type_name("FILE");
    command->callback([options] { runView(*options); });
}

} // namespace kvloupe
