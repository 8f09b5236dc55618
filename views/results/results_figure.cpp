// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/results/results_figure.h"

#include "core/results/results_error.h"
#include "views/chart/chart_panel.h"
#include "views/figure/figure_command.h"
#include "views/figure/figure_spec.h"
#include "views/figure/spec_fields.h"

#include <QCoreApplication>

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
    writePanel(ResultsPanel(figure), outputs);
}

QString ResultsPanel::label() const
{
    const QString measure = QString::fromStdString(std::string(resultMeasureName(m_figure.spec.measure)));
    if (m_figure.published)
        return QCoreApplication::translate("ResultsPanel", "%1 as the paper prints it").arg(measure);
    QStringList files;
    for (const std::filesystem::path& file : m_figure.files)
        files << QString::fromStdString(file.filename().string());
    return QCoreApplication::translate("ResultsPanel", "%1 of %2").arg(measure, files.join(QStringLiteral(", ")));
}

PanelSpec::Json ResultsPanel::toJson() const
{
    const ResultsSpec& spec = m_figure.spec;
    Json object;
    if (m_figure.published) {
        object["figure"] = publishedName;
        object["measure"] = resultMeasureName(spec.measure);
        if (!spec.table.empty())
            object["table"] = spec.table;
    } else {
        object["figure"] = resultMeasureName(spec.measure);
        object["inputs"] = Json::array();
        for (const std::filesystem::path& file : m_figure.files)
            object["inputs"].push_back(file.string());
        object["axis"] = resultAxisName(spec.axis);
        object["paper"] = spec.paper;
        object["tasks"] = spec.tasks;
    }
    object["lines"] = resultLinesName(spec.lines);
    object["same_scale"] = spec.sameScale;
    object["methods"] = spec.methods;
    writeChartPanel(m_figure.page, m_figure.title, object);
    return object;
}

PanelFrame ResultsPanel::frame() const
{
    return frameOf(m_figure.page);
}

std::shared_ptr<const PanelData> ResultsPanel::read(const PanelFrame& /*frame*/) const
{
    checkChartPage(m_figure.page);
    if (!m_figure.published && m_figure.files.empty())
        throw FigureError("figure: no results file was given, expected some after the name of the figure");
    if (m_figure.published && !m_figure.files.empty())
        throw FigureError(
            fmt::format("figure published: found {}, expected no file: it shows the paper's numbers alone",
                m_figure.files.front().string()));
    QString description;
    Chart chart = chartOf(m_figure, description);
    if (m_figure.title)
        chart.title = QString::fromStdString(*m_figure.title);
    return std::make_shared<ChartPanelData>(std::move(chart), m_figure.page, description);
}

ResultsFigure resultsFigureFromJson(std::string_view text, const std::filesystem::path& source)
{
    SpecFields fields(text, source);
    const ResultsFigure figure = resultsFigureFromFields(fields);
    fields.rejectUnknown();
    return figure;
}

ResultsFigure resultsFigureFromFields(SpecFields& fields)
{
    std::string name;
    fields.text("figure", name);
    const auto known = resultsFigureOf(name);
    if (!known)
        throw FigureError(fmt::format("{}: field \"figure\" is \"{}\", expected one of {}", fields.where(), name,
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
