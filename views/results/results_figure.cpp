// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/results/results_figure.h"

#include "core/results/results_error.h"
#include "views/figure/figure_command.h"
#include "views/figure/figure_spec.h"
#include "views/figure/spec_fields.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace kvloupe {

namespace {

constexpr std::string_view publishedName = "published";

Chart chartOf(const ResultsFigure& figure, QString& description)
{
    if (figure.published) {
        description = QStringLiteral("numbers printed in arXiv 2502.01941v4; nothing was measured");
        return publishedChart(publishedResults(), figure.spec);
    }
    const auto data = readResultsData(figure.files);
    for (const ResultsData::File& file : data->files)
        if (!file.problem.empty())
            throw ResultsError(file.problem);
    if (figure.spec.paper && !data->publishedProblem.empty())
        throw ResultsError(data->publishedProblem);
    Chart chart = resultsChart(*data, figure.spec);
    if (chart.panels.empty())
        throw FigureError(fmt::format("{}: found no sample with the measure {}{}, expected some",
            figure.files.empty() ? std::string("figure") : figure.files.front().string(),
            resultMeasureName(figure.spec.measure),
            figure.spec.tasks.empty() ? std::string()
                                      : fmt::format(" of task {}", fmt::join(figure.spec.tasks, ", "))));
    description = resultsDescription(*data);
    return chart;
}

} // namespace

std::vector<std::string> resultsFigureNames()
{
    std::vector<std::string> names;
    for (const ResultMeasure measure : allResultMeasures)
        names.emplace_back(resultMeasureName(measure));
    names.emplace_back(publishedName);
    return names;
}

std::optional<ResultsFigure> resultsFigureOf(std::string_view name)
{
    ResultsFigure figure;
    if (name == publishedName) {
        figure.published = true;
        figure.spec.measure = ResultMeasure::RelativeDrop;
        return figure;
    }
    const auto measure = resultMeasureFromName(name);
    if (!measure)
        return std::nullopt;
    figure.spec.measure = *measure;
    return figure;
}

void writeResultsFigure(const ResultsFigure& figure, const std::vector<std::filesystem::path>& outputs)
{
    for (const std::filesystem::path& output : outputs)
        figureFormat(output);
    checkChartPage(figure.page);
    if (!figure.published && figure.files.empty())
        throw FigureError("figure: no results file was given, expected some after the name of the figure");
    if (figure.published && !figure.files.empty())
        throw FigureError(
            fmt::format("figure published: found {}, expected no file: it shows the paper's numbers alone",
                figure.files.front().string()));
    QString description;
    Chart chart = chartOf(figure, description);
    if (figure.title)
        chart.title = QString::fromStdString(*figure.title);
    writeChart(chart, figure.page, description, outputs);
}

ResultsFigure resultsFigureFromJson(std::string_view text, const std::filesystem::path& source)
{
    SpecFields fields(text, source);
    std::string name;
    fields.text("figure", name);
    const auto known = resultsFigureOf(name);
    if (!known)
        throw FigureError(fmt::format("{}: field \"figure\" is \"{}\", expected one of {}", source.string(), name,
            fmt::join(resultsFigureNames(), ", ")));
    ResultsFigure figure = *known;
    if (figure.published) {
        fields.choice("measure", figure.spec.measure, resultMeasureFromName, "accuracy or relative-drop");
        fields.text("table", figure.spec.table);
    } else {
        fields.paths("inputs", figure.files);
        fields.choice("axis", figure.spec.axis, resultAxisFromName, "kept, realised or tokens");
        fields.boolean("paper", figure.spec.paper);
        fields.texts("tasks", figure.spec.tasks);
    }
    fields.choice("lines", figure.spec.lines, resultLinesFromName, "methods, tasks, shots or models");
    fields.boolean("same_scale", figure.spec.sameScale);
    fields.texts("methods", figure.spec.methods);
    readChartPage(fields, figure.page, figure.title);
    fields.rejectUnknown();
    return figure;
}

std::string resultsCommandLine(
    const ResultsSpec& spec, const std::vector<std::filesystem::path>& files, std::string_view output)
{
    const ResultsSpec defaults;
    std::string line = fmt::format("kvloupe figure {}", resultMeasureName(spec.measure));
    for (const std::filesystem::path& file : files)
        line += fmt::format(" {}", shellWord(file.string()));
    const auto add = [&](std::string_view option, std::string_view value) {
        line += fmt::format(" {} {}", option, shellWord(value));
    };
    if (spec.axis != defaults.axis)
        add("--axis", resultAxisName(spec.axis));
    if (spec.lines != defaults.lines)
        add("--lines", resultLinesName(spec.lines));
    for (const std::string& task : spec.tasks)
        add("--task", task);
    for (const std::string& method : spec.methods)
        add("--method", method);
    if (spec.paper)
        line += " --paper";
    if (!spec.sameScale)
        line += " --own-scale";
    add("--out", output);
    return line;
}

} // namespace kvloupe
