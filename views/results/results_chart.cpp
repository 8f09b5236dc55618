// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/results/results_chart.h"

#include "views/results/published_chart.h"

#include <QCoreApplication>
#include <QLocale>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <utility>

namespace kvloupe {

namespace {

QString translate(const char* text)
{
    return QCoreApplication::translate("ResultsChart", text);
}

template <typename Value, std::size_t Count>
std::string_view nameOf(const std::array<std::pair<Value, std::string_view>, Count>& names, Value value)
{
    return std::ranges::find(names, value, &std::pair<Value, std::string_view>::first)->second;
}

template <typename Value, std::size_t Count>
std::optional<Value> fromName(const std::array<std::pair<Value, std::string_view>, Count>& names, std::string_view name)
{
    const auto found = std::ranges::find(names, name, &std::pair<Value, std::string_view>::second);
    return found == names.end() ? std::nullopt : std::optional(found->first);
}

constexpr std::array<std::pair<ResultMeasure, std::string_view>, 4> measureNames{
    {{ResultMeasure::Accuracy, "accuracy"}, {ResultMeasure::RelativeDrop, "relative-drop"},
        {ResultMeasure::NllDifference, "nll"}, {ResultMeasure::Divergence, "kl"}}};
constexpr std::array<std::pair<ResultAxis, std::string_view>, 3> axisNames{
    {{ResultAxis::Kept, "kept"}, {ResultAxis::Realised, "realised"}, {ResultAxis::Tokens, "tokens"}}};
constexpr std::array<std::pair<ResultLines, std::string_view>, 4> linesNames{{{ResultLines::Methods, "methods"},
    {ResultLines::Tasks, "tasks"}, {ResultLines::Shots, "shots"}, {ResultLines::Models, "models"}}};

/// What a cell was measured under, as the parts of a panel's or a line's name.
enum Part {
    TaskPart,
    ShotsPart,
    LevelPart,
    LimitPart,
    ModelPart,
    SuitePart,
    DataPart,
    ChatPart,
    FirstTokenPart,
    SpanPart,
    DecodeKeepPart,
    MethodPart,
    PartCount
};

struct LabelledCell {
    const SummaryCell* cell = nullptr;
    int number = 0;
    std::string method; ///< registry name, empty for a mean over methods
    std::array<QString, PartCount> parts;
};

QString percent(double share, int decimals = 1)
{
    return QLocale().toString(100.0 * share, 'f', decimals);
}

std::array<QString, PartCount> partsOf(const SummaryCell& cell)
{
    std::array<QString, PartCount> parts;
    parts[TaskPart] = QString::fromStdString(cell.task.value_or(""));
    if (cell.shots)
        parts[ShotsPart] = translate("%1 shots").arg(*cell.shots);
    if (cell.level)
        parts[LevelPart] = translate("level %1").arg(*cell.level);
    if (cell.maxNewTokens)
        parts[LimitPart] = translate("at most %1 new tokens").arg(*cell.maxNewTokens);
    parts[ModelPart] = QString::fromStdString(cell.modelLabel);
    parts[SuitePart] = QString::fromStdString(cell.suite);
    if (cell.dataSha256)
        parts[DataPart] = translate("data %1").arg(QString::fromStdString(cell.dataSha256->substr(0, 8)));
    parts[ChatPart] = cell.chat ? translate("chat template") : translate("no chat template");
    parts[FirstTokenPart] = cell.firstToken == "full" ? translate("first token from the full cache")
                                                      : translate("first token from the compressed cache");
    parts[SpanPart]
        = cell.compressSpan == "context" ? translate("budget of the context") : translate("budget of the prompt");
    if (cell.decodeKeep)
        parts[DecodeKeepPart] = translate("keeps %1 of generated tokens").arg(QString::fromStdString(*cell.decodeKeep));
    return parts;
}

/// The parts that stand for a line; all others stand for its panel.
std::vector<Part> lineParts(ResultLines lines)
{
    switch (lines) {
    case ResultLines::Methods:
        return {MethodPart};
    case ResultLines::Tasks:
        return {TaskPart, ShotsPart, LevelPart, LimitPart, FirstTokenPart};
    case ResultLines::Shots:
        return {ShotsPart};
    case ResultLines::Models:
        break;
    }
    return {ModelPart};
}

bool contains(const std::vector<Part>& parts, int part)
{
    return std::ranges::find(parts, static_cast<Part>(part)) != parts.end();
}

/// Methods under the names they have in the legend: the title, and the SPEC where a method occurs with several.
class MethodNames {
public:
    explicit MethodNames(const std::vector<LabelledCell>& cells)
    {
        for (const LabelledCell& cell : cells)
            m_specs[cell.method].insert(cell.cell->method.value_or(""));
    }

    QString of(const LabelledCell& cell) const
    {
        if (cell.cell->full)
            return translate("full cache");
        if (m_specs.at(cell.method).size() > 1)
            return QString::fromStdString(cell.cell->method.value_or(""));
        return methodTitle(cell.method);
    }

private:
    std::map<std::string, std::set<std::string>> m_specs;
};

struct Value {
    double y = 0.0;
    std::optional<Interval> interval;
    std::int64_t count = 0;
};

std::optional<Value> valueOf(const SummaryCell& cell, ResultMeasure measure)
{
    switch (measure) {
    case ResultMeasure::Accuracy:
        if (cell.samples == 0)
            return std::nullopt;
        return Value{100.0 * cell.accuracy,
            Interval{100.0 * cell.accuracyInterval.low, 100.0 * cell.accuracyInterval.high}, cell.samples};
    case ResultMeasure::RelativeDrop:
        if (!cell.relativeDrop)
            return std::nullopt;
        return Value{100.0 * *cell.relativeDrop, std::nullopt, cell.pairs};
    case ResultMeasure::NllDifference:
        if (!cell.nllDifference)
            return std::nullopt;
        return Value{cell.nllDifference->mean, Interval{cell.nllDifference->low, cell.nllDifference->high}, cell.pairs};
    case ResultMeasure::Divergence:
        if (!cell.klToFull)
            return std::nullopt;
        return Value{*cell.klToFull, std::nullopt, cell.pairs};
    }
    return std::nullopt;
}

double placeOf(const SummaryCell& cell, ResultAxis axis)
{
    switch (axis) {
    case ResultAxis::Kept:
        return 100.0 * cell.requestedShare;
    case ResultAxis::Realised:
        return 100.0 * cell.realisedShare;
    case ResultAxis::Tokens:
        return cell.requestedTokens;
    }
    return 0.0;
}

QString textOf(const SummaryCell& cell, const QString& line, const QString& panel)
{
    const QLocale locale;
    const auto number = [&](double value, int decimals) { return locale.toString(value, 'f', decimals); };
    QStringList text{translate("%1: %2").arg(panel, line)};
    if (cell.method && !cell.full)
        text << QString::fromStdString(*cell.method);
    text << translate("asked to keep %1 % (%2 tokens per head), kept %3 %")
                .arg(percent(cell.requestedShare), number(cell.requestedTokens, 1), percent(cell.realisedShare));
    text << translate("accuracy %1 % (%2 to %3, Wilson 95 %), n = %4")
                .arg(percent(cell.accuracy), percent(cell.accuracyInterval.low), percent(cell.accuracyInterval.high))
                .arg(cell.samples);
    if (cell.relativeDrop)
        text << translate("%1 % relative to the full cache; %2 lost, %3 gained of %4 pairs")
                    .arg((*cell.relativeDrop > 0.0 ? QStringLiteral("+") : QString()) + percent(*cell.relativeDrop))
                    .arg(cell.lost)
                    .arg(cell.gained)
                    .arg(cell.pairs);
    if (cell.mcnemar)
        text << translate("McNemar p = %1 (%2), %3 after Holm's correction")
                    .arg(locale.toString(cell.mcnemar->p, 'g', 3),
                        cell.mcnemar->test == PairedTest::Exact ? translate("exact") : translate("chi-squared"),
                        locale.toString(cell.pHolm.value_or(1.0), 'g', 3));
    if (cell.nllDifference)
        text << translate("gold answer %1 nats per token above the full cache (%2 to %3, bootstrap 95 %)")
                    .arg(number(cell.nllDifference->mean, 3), number(cell.nllDifference->low, 3),
                        number(cell.nllDifference->high, 3));
    if (cell.klToFull)
        text << translate("KL to the full cache %1 nats per token").arg(number(*cell.klToFull, 3));
    if (cell.skipped > 0)
        text << translate("%1 samples skipped").arg(cell.skipped);
    return text.join(QLatin1Char('\n'));
}

std::vector<LabelledCell> labelledCells(const ResultsData& data, const ResultsSpec& spec)
{
    std::vector<LabelledCell> cells;
    const Summary& summary = resultsSummary(data, spec);
    for (std::size_t index = 0; index < summary.cells.size(); ++index) {
        const SummaryCell& cell = summary.cells[index];
        if (!spec.tasks.empty() && std::ranges::find(spec.tasks, cell.task.value_or("")) == spec.tasks.end())
            continue;
        LabelledCell labelled{&cell, static_cast<int>(index), {}, partsOf(cell)};
        if (cell.method && !cell.rows.empty())
            labelled.method = data.rows[cell.rows.front()].method.name;
        const bool wanted = spec.methods.empty() || cell.full || !cell.method
            || std::ranges::find(spec.methods, labelled.method) != spec.methods.end()
            || std::ranges::find(spec.methods, *cell.method) != spec.methods.end();
        if (wanted)
            cells.push_back(std::move(labelled));
    }
    const MethodNames names(cells);
    for (LabelledCell& cell : cells)
        if (cell.cell->method)
            cell.parts[MethodPart] = names.of(cell);
    return cells;
}

/// What may follow from the task: it tells cells apart only where one task has several.
bool belongsToTask(int part)
{
    return part == LevelPart || part == LimitPart || part == FirstTokenPart;
}

/// Which parts tell cells apart.
std::array<bool, PartCount> varyingParts(const std::vector<LabelledCell>& cells)
{
    std::array<bool, PartCount> varying{};
    for (int part = 0; part < PartCount; ++part) {
        std::map<QString, std::set<QString>> values;
        for (const LabelledCell& cell : cells)
            values[belongsToTask(part) ? cell.parts[TaskPart] : QString()].insert(
                cell.parts[static_cast<std::size_t>(part)]);
        varying[static_cast<std::size_t>(part)]
            = std::ranges::any_of(values, [](const auto& entry) { return entry.second.size() > 1; });
    }
    return varying;
}

/// Names of a cell's panel and line, short for eyes and whole for telling apart.
struct CellNames {
    QString panelKey;
    QString panel;
    QString lineKey;
    QString line;
};

CellNames namesOf(const LabelledCell& cell, const std::vector<Part>& ofLine, const std::array<bool, PartCount>& varying)
{
    CellNames names;
    QStringList panel;
    QStringList line;
    for (int part = 0; part < PartCount; ++part) {
        const QString& text = cell.parts[static_cast<std::size_t>(part)];
        const bool inLine = contains(ofLine, part);
        (inLine ? names.lineKey : names.panelKey) += text + QChar(u'\n');
        const bool always = part == TaskPart || (inLine && part == ofLine.front());
        if (!text.isEmpty() && (always || varying[static_cast<std::size_t>(part)]))
            (inLine ? line : panel) << text;
    }
    names.panel = panel.join(QStringLiteral(", "));
    names.line = line.join(QStringLiteral(", "));
    if (names.panel.isEmpty())
        names.panel = cell.parts[ModelPart];
    return names;
}

void scaleBudgets(std::vector<ChartPanel>& panels, ResultAxis axis)
{
    double low = axis == ResultAxis::Tokens ? std::numeric_limits<double>::infinity() : 100.0;
    double high = axis == ResultAxis::Tokens ? 0.0 : 100.0;
    for (const ChartPanel& panel : panels)
        for (const ChartSeries& series : panel.series)
            for (const ChartPoint& point : series.points) {
                low = std::min(low, point.x);
                high = std::max(high, point.x);
            }
    const auto range = niceRange(std::min(low, high), high);
    for (ChartPanel& panel : panels) {
        panel.x.low = std::max(0.0, range[0]);
        panel.x.high = range[1];
    }
}

QString intervalNote(ResultMeasure measure)
{
    switch (measure) {
    case ResultMeasure::Accuracy:
        return translate("Whiskers: Wilson's 95 % interval of the accuracy.");
    case ResultMeasure::RelativeDrop:
        return translate("(P - P_full) / P_full over the samples that both runs have; 0 is the full cache.");
    case ResultMeasure::NllDifference:
        return translate("Whiskers: 95 % bootstrap interval over samples; 0 is the full cache.");
    case ResultMeasure::Divergence:
        break;
    }
    return translate("Mean over samples; 0 is the full cache.");
}

QString countNote(const std::vector<ChartPanel>& panels)
{
    std::int64_t least = std::numeric_limits<std::int64_t>::max();
    std::int64_t most = -1;
    for (const ChartPanel& panel : panels)
        for (const ChartSeries& series : panel.series)
            for (const ChartPoint& point : series.points) {
                least = std::min(least, point.count);
                most = std::max(most, point.count);
            }
    if (most < 0)
        return {};
    return least == most ? translate("n = %1 at every point.").arg(most)
                         : translate("n = %1 to %2 by point.").arg(least).arg(most);
}

/// Settings that no title names, in words; those that differ between tasks with the tasks they hold for.
QString settingsNote(const std::vector<LabelledCell>& cells, const std::array<bool, PartCount>& varying)
{
    QStringList texts;
    for (const Part part : {ChatPart, SpanPart, DecodeKeepPart, DataPart, FirstTokenPart}) {
        if (varying[static_cast<std::size_t>(part)])
            continue;
        std::vector<std::pair<QString, QStringList>> tasks; // by what holds for them
        for (const LabelledCell& cell : cells) {
            const QString& text = cell.parts[static_cast<std::size_t>(part)];
            auto known = std::ranges::find(tasks, text, &std::pair<QString, QStringList>::first);
            if (known == tasks.end())
                known = tasks.insert(tasks.end(), {text, {}});
            if (!known->second.contains(cell.parts[TaskPart]))
                known->second << cell.parts[TaskPart];
        }
        for (const auto& [text, of] : tasks)
            if (!text.isEmpty())
                texts << (tasks.size() == 1 ? text : translate("%1 (%2)").arg(text, of.join(QStringLiteral(", "))));
    }
    if (texts.isEmpty())
        return {};
    QString joined = texts.join(QStringLiteral("; ")) + QLatin1Char('.');
    joined[0] = joined[0].toUpper();
    return joined;
}

/// Puts what the paper prints under each of our panels that has a counterpart.
void addPublished(std::vector<ChartPanel>& panels, const std::vector<const LabelledCell*>& firstCells,
    const ResultsData& data, const ResultsSpec& spec, SeriesStyles& styles)
{
    std::vector<ChartPanel> all;
    for (std::size_t index = 0; index < panels.size(); ++index) {
        const SummaryCell& cell = *firstCells[index]->cell;
        all.push_back(std::move(panels[index]));
        PublishedChoice choice;
        if (spec.lines == ResultLines::Tasks) {
            choice.table = "7";
        } else {
            const auto counterpart = publishedCounterpart(
                data.published, cell.task.value_or(""), spec.lines == ResultLines::Shots ? std::nullopt : cell.shots);
            if (!counterpart)
                continue;
            choice = *counterpart;
            if (spec.lines == ResultLines::Shots)
                choice = {"9", counterpart->model, counterpart->task, std::nullopt};
            if (spec.lines == ResultLines::Models)
                choice = {"6", {}, counterpart->task, std::nullopt};
        }
        for (ChartPanel& panel : publishedPanels(data.published, spec, choice, styles)) {
            panel.below = true;
            all.push_back(std::move(panel));
        }
    }
    panels = std::move(all);
}

} // namespace

std::string_view resultMeasureName(ResultMeasure measure)
{
    return nameOf(measureNames, measure);
}
std::optional<ResultMeasure> resultMeasureFromName(std::string_view name)
{
    return fromName(measureNames, name);
}
std::string_view resultAxisName(ResultAxis axis)
{
    return nameOf(axisNames, axis);
}
std::optional<ResultAxis> resultAxisFromName(std::string_view name)
{
    return fromName(axisNames, name);
}
std::string_view resultLinesName(ResultLines lines)
{
    return nameOf(linesNames, lines);
}
std::optional<ResultLines> resultLinesFromName(std::string_view name)
{
    return fromName(linesNames, name);
}

QString resultMeasureLabel(ResultMeasure measure)
{
    switch (measure) {
    case ResultMeasure::Accuracy:
        return translate("accuracy (%)");
    case ResultMeasure::RelativeDrop:
        return translate("relative change (%)");
    case ResultMeasure::NllDifference:
        return translate("ΔNLL (nats/token)");
    case ResultMeasure::Divergence:
        break;
    }
    return translate("KL to full (nats/token)");
}

QString resultMeasureHelp(ResultMeasure measure)
{
    switch (measure) {
    case ResultMeasure::Accuracy:
        return translate("Mean score of the samples, with Wilson's 95 % interval");
    case ResultMeasure::RelativeDrop:
        return translate(
            "(P - P_full) / P_full, P = accuracy over the samples that both runs have: Eq. 1 of arXiv 2502.01941. "
            "Relative, so not points");
    case ResultMeasure::NllDifference:
        return translate("Negative log-likelihood of the gold answer through this cache minus through the full one, "
                         "nats per token, mean over samples, 95 % bootstrap interval");
    case ResultMeasure::Divergence:
        break;
    }
    return translate("Mean of KL(full, this) = sum p_full ln(p_full / p) along the full run's tokens, nats per token");
}

QString resultAxisLabel(ResultAxis axis)
{
    switch (axis) {
    case ResultAxis::Kept:
        return translate("kept share asked for (%)");
    case ResultAxis::Realised:
        return translate("kept share realised (%)");
    case ResultAxis::Tokens:
        break;
    }
    return translate("tokens per head asked for");
}

const Summary& resultsSummary(const ResultsData& data, const ResultsSpec& spec)
{
    return spec.lines == ResultLines::Methods ? data.byMethod : data.overMethods;
}

Chart resultsChart(const ResultsData& data, const ResultsSpec& spec)
{
    Chart chart;
    const std::vector<LabelledCell> cells = labelledCells(data, spec);
    if (cells.empty())
        return chart;
    const std::array<bool, PartCount> varying = varyingParts(cells);
    const std::vector<Part> ofLine = lineParts(spec.lines);
    SeriesStyles styles;
    // Named first, so that a method has its style whatever tasks are shown.
    for (const LabelledCell& cell : cells)
        styles.of(styleName(namesOf(cell, ofLine, varying).line), cell.method);

    std::vector<QString> panelKeys;
    std::vector<std::vector<QString>> lineKeys;
    std::vector<const LabelledCell*> firstCells;
    for (const LabelledCell& cell : cells) {
        const CellNames names = namesOf(cell, ofLine, varying);
        const auto place = std::ranges::find(panelKeys, names.panelKey) - panelKeys.begin();
        const auto number = static_cast<std::size_t>(place);
        if (number == panelKeys.size()) {
            panelKeys.push_back(names.panelKey);
            lineKeys.emplace_back();
            firstCells.push_back(&cell);
            ChartPanel panel;
            panel.title = names.panel;
            panel.x.label = resultAxisLabel(spec.axis);
            panel.x.reversed = true;
            panel.y.label = resultMeasureLabel(spec.measure);
            if (spec.measure != ResultMeasure::Accuracy)
                panel.references.push_back({translate("full cache"), 0.0});
            chart.panels.push_back(std::move(panel));
        }
        const std::optional<Value> value = valueOf(*cell.cell, spec.measure);
        if (!value)
            continue;
        ChartPanel& panel = chart.panels[number];
        if (cell.cell->full && spec.lines == ResultLines::Methods)
            panel.references.push_back({translate("full cache"), value->y});
        std::vector<QString>& lines = lineKeys[number];
        const auto line = static_cast<std::size_t>(std::ranges::find(lines, names.lineKey) - lines.begin());
        if (line == lines.size()) {
            lines.push_back(names.lineKey);
            const SeriesStyles::Style style = styles.of(styleName(names.line), cell.method);
            panel.series.push_back({names.line, style.color, style.mark, false, false, {}});
        }
        ChartPoint point;
        point.x = placeOf(*cell.cell, spec.axis);
        point.y = value->y;
        point.interval = value->interval;
        point.count = value->count;
        point.text = textOf(*cell.cell, names.line, names.panel);
        point.number = cell.number;
        point.key = QString::fromStdString(cell.cell->budgetKind.value_or("") + ' ' + cell.cell->budget.value_or(""));
        panel.series[line].points.push_back(std::move(point));
    }
    for (std::size_t index = 0; index < chart.panels.size();) {
        for (ChartSeries& series : chart.panels[index].series)
            std::ranges::stable_sort(series.points, {}, &ChartPoint::x);
        if (chart.panels[index].series.empty()) {
            chart.panels.erase(chart.panels.begin() + static_cast<std::ptrdiff_t>(index));
            firstCells.erase(firstCells.begin() + static_cast<std::ptrdiff_t>(index));
        } else {
            ++index;
        }
    }
    if (chart.panels.empty())
        return chart;

    const QString counts = countNote(chart.panels);
    const bool withPaper = spec.paper && spec.axis == ResultAxis::Kept && isPublished(spec.measure);
    if (withPaper)
        addPublished(chart.panels, firstCells, data, spec, styles);
    scaleBudgets(chart.panels, spec.axis);
    scalePanels(chart.panels, spec.measure, spec.sameScale);

    QStringList title;
    for (const Part part : {ModelPart, SuitePart})
        if (!varying[static_cast<std::size_t>(part)])
            title << cells.front().parts[static_cast<std::size_t>(part)];
    chart.title = title.join(QStringLiteral(", "));
    QString note = intervalNote(spec.measure);
    if (!counts.isEmpty())
        note += QLatin1Char(' ') + counts;
    chart.notes << note;
    QString settings = settingsNote(cells, varying);
    if (spec.lines != ResultLines::Methods)
        settings += (settings.isEmpty() ? QString() : QStringLiteral(" "))
            + translate("Means over methods; methods of a sample are averaged first.");
    if (!settings.isEmpty())
        chart.notes << settings;
    if (withPaper)
        chart.notes << translate("Dashed lines and hollow marks on grey: printed in the paper, other models and data.");
    if (spec.paper && !withPaper)
        chart.notes << translate("The paper has accuracies over the kept share only, so none of it is shown here.");
    return chart;
}

QString resultsDescription(const ResultsData& data)
{
    std::vector<QString> facts;
    const auto add = [&](const QString& fact) {
        if (std::ranges::find(facts, fact) == facts.end())
            facts.push_back(fact);
    };
    for (const ResultsData::File& file : data.files)
        add(translate("results %1").arg(QString::fromStdString(file.path.filename().string())));
    for (const SummaryCell& cell : data.byMethod.cells)
        add(translate("model %1 sha256 %2, suite %3")
                .arg(QString::fromStdString(cell.modelLabel), QString::fromStdString(cell.model.fileSha256),
                    QString::fromStdString(cell.suite)));
    QStringList list;
    for (const QString& fact : facts)
        list << fact;
    return list.join(QStringLiteral("; "));
}

} // namespace kvloupe
