// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/results/published_chart.h"

#include "core/methods/method_registry.h"
#include "core/results/statistics.h"
#include "views/figure/figure_spec.h"

#include <QCoreApplication>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>
#include <tuple>

namespace kvloupe {

namespace {

constexpr std::string_view meanOfMethods = "mean_of_5";

QString translate(const char* text)
{
    return QCoreApplication::translate("ResultsChart", text);
}

/// A sweep over the kept share in the paper: one model and task with so many shots in one table.
struct Sweep {
    std::string table;
    std::string model;
    std::string task;
    std::optional<int> shots;
    std::vector<const PublishedValue*> values;

    bool fits(const PublishedChoice& choice) const
    {
        return (choice.table.empty() || choice.table == table) && (choice.model.empty() || choice.model == model)
            && (choice.task.empty() || choice.task == task) && (!choice.shots || choice.shots == shots);
    }
};

/// The table that has what one line of a panel is.
std::string tableWith(ResultLines lines)
{
    return lines == ResultLines::Shots ? "9" : lines == ResultLines::Models ? "6" : "7";
}

double percentOf(const PublishedValue& value)
{
    return value.unit == "fraction" ? 100.0 * value.value : value.value;
}

/// Those with a full cache and at least two shares.
std::vector<Sweep> sweepsOf(const std::vector<PublishedValue>& values)
{
    std::vector<Sweep> sweeps;
    for (const PublishedValue& value : values) {
        if ((value.unit != "fraction" && value.unit != "percent") || !value.keptPercent)
            continue;
        const auto known = std::ranges::find_if(sweeps, [&](const Sweep& sweep) {
            return sweep.table == value.table && sweep.model == value.model && sweep.task == value.task
                && sweep.shots == value.shots;
        });
        Sweep& sweep = known != sweeps.end() ? *known : sweeps.emplace_back();
        sweep.table = value.table;
        sweep.model = value.model;
        sweep.task = value.task;
        sweep.shots = value.shots;
        sweep.values.push_back(&value);
    }
    std::erase_if(sweeps, [](const Sweep& sweep) {
        std::set<double> shares;
        bool full = false;
        for (const PublishedValue* value : sweep.values) {
            full |= value->method == "full";
            if (value->method != "full")
                shares.insert(*value->keptPercent);
        }
        return !full || shares.size() < 2;
    });
    return sweeps;
}

double fullOf(const Sweep& sweep)
{
    const auto full
        = std::ranges::find_if(sweep.values, [](const PublishedValue* value) { return value->method == "full"; });
    return percentOf(**full);
}

QString taskText(const Sweep& sweep)
{
    const QString task = QString::fromStdString(sweep.task);
    return sweep.shots ? translate("%1, %2 shots").arg(task).arg(*sweep.shots) : task;
}

QString modelText(const Sweep& sweep)
{
    return sweep.model.empty() ? translate("model not named") : QString::fromStdString(sweep.model);
}

ChartPoint pointOf(const Sweep& sweep, const PublishedValue& value, const ResultsSpec& spec, const QString& line)
{
    const double full = fullOf(sweep);
    const double drop = 100.0 * relativeDrop(percentOf(value), full);
    ChartPoint point;
    point.x = *value.keptPercent;
    point.y = spec.measure == ResultMeasure::RelativeDrop ? drop : percentOf(value);
    point.key = QString::number(point.x);
    QStringList text{translate("Published: %1, Table %2")
                         .arg(QString::fromStdString(value.source).section(QLatin1Char(','), 0, 0),
                             QString::fromStdString(value.table)),
        translate("%1, %2: %3").arg(modelText(sweep), taskText(sweep), line),
        translate("kept %1 %: accuracy %2 %, %3 % relative to the full cache")
            .arg(*value.keptPercent)
            .arg(percentOf(value), 0, 'f', 2)
            .arg(drop, 0, 'f', 1),
        translate("no interval and no number of samples are printed")};
    if (!value.note.empty())
        text << translate("In doubt: %1").arg(QString::fromStdString(value.note));
    point.text = text.join(QLatin1Char('\n'));
    return point;
}

/// A line of a panel in the making.
struct PublishedLine {
    QString name;
    std::string method; ///< registry name, empty where a line is no method
    std::map<double, ChartPoint> points; ///< by kept share; the first that is printed counts
};

void addTo(std::vector<PublishedLine>& lines, const QString& name, const std::string& method, ChartPoint point)
{
    auto line = std::ranges::find(lines, name, &PublishedLine::name);
    if (line == lines.end())
        line = lines.insert(lines.end(), PublishedLine{name, method, {}});
    line->points.emplace(point.x, std::move(point));
}

} // namespace

std::string publishedTask(const std::string& task)
{
    static const std::map<std::string, std::string> names{{"ar", "AR"}, {"gsm8k", "AR"}, {"wk", "WK"}, {"mmlu", "WK"},
        {"csr", "CSR"}, {"commonsense_qa", "CSR"}, {"cg", "CG"}, {"humaneval", "CG"}, {"sa", "SA"},
        {"jailbreakv", "SA"}, {"lg", "LG"}, {"longgenbench", "LG"}, {"qa", "QA"}, {"hotpotqa", "QA"}};
    const auto found = names.find(task);
    return found == names.end() ? std::string() : found->second;
}

bool isPublished(ResultMeasure measure)
{
    return measure == ResultMeasure::Accuracy || measure == ResultMeasure::RelativeDrop;
}

std::string styleName(const QString& line)
{
    return line.toUpper().toStdString();
}

QString methodTitle(const std::string& name)
{
    const auto& registry = methodRegistry();
    const auto known = std::ranges::find(registry, name, &MethodInfo::name);
    return QString::fromStdString(known == registry.end() ? name : known->title);
}

std::vector<ChartPanel> publishedPanels(const std::vector<PublishedValue>& values, const ResultsSpec& spec,
    const PublishedChoice& choice, SeriesStyles& styles)
{
    struct Panel {
        QString title;
        std::set<std::string> tables;
        std::string source;
        std::optional<double> full;
        std::vector<PublishedLine> lines;
    };
    std::vector<Panel> panels;
    for (const Sweep& sweep : sweepsOf(values)) {
        if (!sweep.fits(choice))
            continue;
        QString title;
        QString line;
        switch (spec.lines) {
        case ResultLines::Methods:
            title = translate("%1, %2").arg(taskText(sweep), modelText(sweep));
            break;
        case ResultLines::Tasks:
            title = modelText(sweep);
            line = taskText(sweep);
            break;
        case ResultLines::Shots:
            title = translate("%1, %2").arg(QString::fromStdString(sweep.task), modelText(sweep));
            line = translate("%1 shots").arg(sweep.shots.value_or(0));
            break;
        case ResultLines::Models:
            title = taskText(sweep);
            line = modelText(sweep);
            break;
        }
        auto panel = std::ranges::find(panels, title, &Panel::title);
        if (panel == panels.end())
            panel = panels.insert(panels.end(), Panel{title, {}, {}, std::nullopt, {}});
        panel->tables.insert(sweep.table);
        panel->source = sweep.values.front()->source;
        for (const PublishedValue* value : sweep.values) {
            const bool full = value->method == "full";
            if (spec.lines == ResultLines::Methods) {
                if (value->method == meanOfMethods)
                    continue;
                if (full)
                    panel->full = spec.measure == ResultMeasure::RelativeDrop ? 0.0 : percentOf(*value);
                const bool wanted = spec.methods.empty() || full
                    || std::ranges::find(spec.methods, value->method) != spec.methods.end();
                if (!wanted || (full && spec.measure == ResultMeasure::RelativeDrop))
                    continue;
                const QString name = full ? translate("full cache") : methodTitle(value->method);
                addTo(panel->lines, name, value->method, pointOf(sweep, *value, spec, name));
            } else if (value->method == meanOfMethods || full) {
                addTo(panel->lines, line, {}, pointOf(sweep, *value, spec, line));
            }
        }
    }

    std::vector<ChartPanel> result;
    for (Panel& made : panels) {
        ChartPanel panel;
        panel.title = made.title;
        QStringList tables;
        for (const std::string& table : made.tables)
            tables << QString::fromStdString(table);
        panel.source = translate("published: %1, Table %2")
                           .arg(QString::fromStdString(made.source).section(QLatin1Char(','), 0, 0),
                               tables.join(QStringLiteral(", ")));
        panel.x.label = resultAxisLabel(ResultAxis::Kept);
        panel.x.reversed = true;
        panel.x.high = 100.0;
        panel.y.label = resultMeasureLabel(spec.measure);
        if (made.full)
            panel.references.push_back({translate("full cache"), *made.full});
        else if (spec.measure == ResultMeasure::RelativeDrop)
            panel.references.push_back({translate("full cache"), 0.0});
        for (PublishedLine& line : made.lines) {
            ChartSeries series;
            series.name = line.name;
            // The name is that of our own lines, so that a method has its colour and mark in both.
            const SeriesStyles::Style style = styles.of(styleName(line.name), line.method);
            series.color = style.color;
            series.mark = style.mark;
            series.dashed = true;
            for (auto& [kept, point] : line.points)
                series.points.push_back(std::move(point));
            panel.series.push_back(std::move(series));
        }
        result.push_back(std::move(panel));
    }
    return result;
}

std::optional<PublishedChoice> publishedCounterpart(
    const std::vector<PublishedValue>& values, const std::string& task, std::optional<std::int64_t> shots)
{
    const std::string name = publishedTask(task);
    const Sweep* best = nullptr;
    int bestRank = 0;
    const std::vector<Sweep> sweeps = sweepsOf(values);
    for (const Sweep& sweep : sweeps) {
        if (name.empty() || sweep.task != name)
            continue;
        const int rank = 1 + (shots && sweep.shots && *shots == *sweep.shots ? 2 : 0) + (sweep.table == "7" ? 1 : 0);
        if (rank > bestRank) {
            best = &sweep;
            bestRank = rank;
        }
    }
    if (best == nullptr)
        return std::nullopt;
    return PublishedChoice{best->table, best->model, best->task, best->shots};
}

void scalePanels(std::vector<ChartPanel>& panels, ResultMeasure measure, bool sameScale)
{
    double least = std::numeric_limits<double>::infinity();
    double most = -least;
    const auto fit = [measure](ChartPanel& panel, double low, double high) {
        if (measure == ResultMeasure::Divergence)
            low = std::min(low, 0.0);
        const auto range = niceRange(low, high);
        panel.y.low = range[0];
        panel.y.high = range[1];
        if (measure == ResultMeasure::Accuracy) {
            panel.y.low = std::max(panel.y.low, 0.0);
            panel.y.high = std::min(panel.y.high, 100.0);
        }
    };
    for (ChartPanel& panel : panels) {
        double low = std::numeric_limits<double>::infinity();
        double high = -low;
        const auto include = [&](double value) {
            low = std::min(low, value);
            high = std::max(high, value);
        };
        for (const ChartReference& reference : panel.references)
            include(reference.y);
        for (const ChartSeries& series : panel.series) {
            for (const ChartPoint& point : series.points) {
                include(point.interval ? point.interval->low : point.y);
                include(point.interval ? point.interval->high : point.y);
            }
        }
        least = std::min(least, low);
        most = std::max(most, high);
        fit(panel, low, high);
    }
    if (sameScale)
        for (ChartPanel& panel : panels)
            fit(panel, least, most);
}

Chart publishedChart(const std::vector<PublishedValue>& values, const ResultsSpec& spec)
{
    if (!isPublished(spec.measure))
        throw FigureError(fmt::format("published: found the measure {}, expected accuracy or relative-drop: the paper "
                                      "prints no others",
            resultMeasureName(spec.measure)));
    PublishedChoice choice;
    choice.table = spec.table;
    if (choice.table.empty())
        choice.table = tableWith(spec.lines);
    SeriesStyles styles;
    Chart chart;
    chart.panels = publishedPanels(values, spec, choice, styles);
    if (chart.panels.empty()) {
        std::set<std::string> tables;
        for (const Sweep& sweep : sweepsOf(values))
            tables.insert(sweep.table);
        throw FigureError(
            fmt::format("published: found no sweep over the kept share in table \"{}\", expected one of {}",
                choice.table, fmt::join(tables, ", ")));
    }
    scalePanels(chart.panels, spec.measure, spec.sameScale);
    chart.notes << translate("As printed in the paper, retyped; nothing was measured here.");
    if (spec.lines != ResultLines::Methods)
        chart.notes << translate("Means of StreamingLLM, H2O, SnapKV, PyramidKV and ChunkKV as printed.");
    return chart;
}

} // namespace kvloupe
