// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/sparsity/sparsity_figure.h"

#include "views/chart/chart_panel.h"
#include "views/figure/figure_command.h"
#include "views/figure/figure_spec.h"
#include "views/figure/spec_fields.h"
#include "views/sparsity/sparsity_chart.h"

#include <QCoreApplication>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

namespace kvloupe {

namespace {

constexpr std::array<std::string_view, 3> kindNames{"sparsity", "cumulative", "spans"};
constexpr std::size_t mostRecordings = 6; ///< lines that can still be told apart

std::string_view nameOf(SparsityFigureKind kind)
{
    return kindNames[static_cast<std::size_t>(kind)];
}

Chart chartOf(const SparsityFigure& figure, const SparsityData& data)
{
    switch (figure.kind) {
    case SparsityFigureKind::Sparsity:
        break;
    case SparsityFigureKind::Cumulative:
        return cumulativeChart(data);
    case SparsityFigureKind::Spans:
        return spanMassChart(data);
    }
    return sparsityChart(data, figure.measure);
}

} // namespace

std::vector<std::string> sparsityFigureNames()
{
    return {kindNames.begin(), kindNames.end()};
}

std::optional<SparsityFigure> sparsityFigureOf(std::string_view name)
{
    const auto found = std::ranges::find(kindNames, name);
    if (found == kindNames.end())
        return std::nullopt;
    SparsityFigure figure;
    figure.kind = static_cast<SparsityFigureKind>(found - kindNames.begin());
    return figure;
}

void writeSparsityFigure(const SparsityFigure& figure, const std::vector<std::filesystem::path>& outputs)
{
    writePanel(SparsityPanel(figure), outputs);
}

QString SparsityPanel::label() const
{
    QStringList files;
    for (const std::filesystem::path& file : m_figure.request.recordings)
        files << QString::fromStdString(file.filename().string());
    const std::string_view name
        = m_figure.kind == SparsityFigureKind::Sparsity ? sparsityMeasureName(m_figure.measure) : nameOf(m_figure.kind);
    return QCoreApplication::translate("SparsityPanel", "%1 of %2")
        .arg(QString::fromStdString(std::string(name)), files.join(QStringLiteral(", ")));
}

PanelSpec::Json SparsityPanel::toJson() const
{
    Json object;
    object["figure"] = nameOf(m_figure.kind);
    object["inputs"] = Json::array();
    for (const std::filesystem::path& file : m_figure.request.recordings)
        object["inputs"].push_back(file.string());
    if (m_figure.request.sample)
        object["sample"] = *m_figure.request.sample;
    if (m_figure.kind == SparsityFigureKind::Sparsity)
        object["measure"] = sparsityMeasureName(m_figure.measure);
    writeChartPanel(m_figure.page, m_figure.title, object);
    return object;
}

PanelFrame SparsityPanel::frame() const
{
    return frameOf(m_figure.page);
}

std::shared_ptr<const PanelData> SparsityPanel::read(const PanelFrame& /*frame*/) const
{
    checkChartPage(m_figure.page);
    if (m_figure.request.recordings.empty() || m_figure.request.recordings.size() > mostRecordings)
        throw FigureError(fmt::format("figure: found {} recordings, expected 1 to {} after the name of the figure",
            m_figure.request.recordings.size(), mostRecordings));
    const auto data = measureSparsity(m_figure.request, [](double) { return true; });
    Chart chart = chartOf(m_figure, *data);
    if (m_figure.title)
        chart.title = QString::fromStdString(*m_figure.title);
    return std::make_shared<ChartPanelData>(std::move(chart), m_figure.page, sparsityDescription(*data));
}

SparsityFigure sparsityFigureFromJson(std::string_view text, const std::filesystem::path& source)
{
    SpecFields fields(text, source);
    const SparsityFigure figure = sparsityFigureFromFields(fields);
    fields.rejectUnknown();
    return figure;
}

SparsityFigure sparsityFigureFromFields(SpecFields& fields)
{
    std::string name;
    fields.text("figure", name);
    const auto known = sparsityFigureOf(name);
    if (!known)
        throw FigureError(fmt::format(
            "{}: field \"figure\" is \"{}\", expected {}", fields.where(), name, fmt::join(kindNames, ", ")));
    SparsityFigure figure = *known;
    fields.paths("inputs", figure.request.recordings);
    if (fields.find("sample") != nullptr) {
        figure.request.sample.emplace();
        fields.sample("sample", *figure.request.sample);
    }
    if (figure.kind == SparsityFigureKind::Sparsity)
        fields.choice("measure", figure.measure, sparsityMeasureFromName,
            "entropy, effective-keys, gini, top-1, top-8, top-64, sink or row-max");
    readChartPage(fields, figure.page, figure.title);
    return figure;
}

std::string sparsityCommandLine(const SparsityRequest& request, SparsityMeasure measure, std::string_view output)
{
    std::string line = fmt::format("kvloupe figure {}", nameOf(SparsityFigureKind::Sparsity));
    for (const std::filesystem::path& recording : request.recordings)
        line += fmt::format(" {}", shellWord(recording.string()));
    if (request.sample)
        line += fmt::format(" --sample {}", shellWord(*request.sample));
    if (measure != SparsityFigure().measure)
        line += fmt::format(" --measure {}", sparsityMeasureName(measure));
    return line + fmt::format(" --out {}", shellWord(output));
}

} // namespace kvloupe
