// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/sparsity/sparsity_figure.h"

#include "views/figure/figure_command.h"
#include "views/figure/figure_spec.h"
#include "views/figure/spec_fields.h"
#include "views/sparsity/sparsity_chart.h"

#include <fmt/format.h>

namespace kvloupe {

namespace {

constexpr std::string_view sparsityName = "sparsity";
constexpr std::string_view cumulativeName = "cumulative";
constexpr std::size_t mostRecordings = 6; ///< lines that can still be told apart

} // namespace

std::vector<std::string> sparsityFigureNames()
{
    return {std::string(sparsityName), std::string(cumulativeName)};
}

std::optional<SparsityFigure> sparsityFigureOf(std::string_view name)
{
    if (name != sparsityName && name != cumulativeName)
        return std::nullopt;
    SparsityFigure figure;
    figure.cumulative = name == cumulativeName;
    return figure;
}

void writeSparsityFigure(const SparsityFigure& figure, const std::vector<std::filesystem::path>& outputs)
{
    for (const std::filesystem::path& output : outputs)
        figureFormat(output);
    checkChartPage(figure.page);
    if (figure.request.recordings.empty() || figure.request.recordings.size() > mostRecordings)
        throw FigureError(fmt::format("figure: found {} recordings, expected 1 to {} after the name of the figure",
            figure.request.recordings.size(), mostRecordings));
    const auto data = measureSparsity(figure.request, [](double) { return true; });
    Chart chart = figure.cumulative ? cumulativeChart(*data) : sparsityChart(*data, figure.measure);
    if (figure.title)
        chart.title = QString::fromStdString(*figure.title);
    writeChart(chart, figure.page, sparsityDescription(*data), outputs);
}

SparsityFigure sparsityFigureFromJson(std::string_view text, const std::filesystem::path& source)
{
    SpecFields fields(text, source);
    std::string name;
    fields.text("figure", name);
    const auto known = sparsityFigureOf(name);
    if (!known)
        throw FigureError(
            fmt::format("{}: field \"figure\" is \"{}\", expected sparsity or cumulative", source.string(), name));
    SparsityFigure figure = *known;
    fields.paths("inputs", figure.request.recordings);
    if (fields.find("sample") != nullptr) {
        figure.request.sample.emplace();
        fields.sample("sample", *figure.request.sample);
    }
    if (!figure.cumulative)
        fields.choice("measure", figure.measure, sparsityMeasureFromName,
            "entropy, effective-keys, gini, top-1, top-8, top-64, sink or row-max");
    readChartPage(fields, figure.page, figure.title);
    fields.rejectUnknown();
    return figure;
}

std::string sparsityCommandLine(const SparsityRequest& request, SparsityMeasure measure, std::string_view output)
{
    std::string line = fmt::format("kvloupe figure {}", sparsityName);
    for (const std::filesystem::path& recording : request.recordings)
        line += fmt::format(" {}", shellWord(recording.string()));
    if (request.sample)
        line += fmt::format(" --sample {}", shellWord(*request.sample));
    if (measure != SparsityFigure().measure)
        line += fmt::format(" --measure {}", sparsityMeasureName(measure));
    return line + fmt::format(" --out {}", shellWord(output));
}

} // namespace kvloupe
