// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/chart/chart_layout.h"

#include "views/figure/figure_spec.h"
#include "views/figure/point_painter.h"
#include "views/figure/text_lines.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace kvloupe {

namespace {

constexpr double narrowestPanel = 21.0; ///< in font heights, when the number of columns is free
constexpr double narrowestPlot = 6.0;
constexpr double lowestPlot = 3.0;
constexpr double readablePlot = 8.0; ///< height

double widest(const std::vector<double>& ticks, double points)
{
    double width = 0.0;
    for (const double tick : ticks)
        width = std::max(width, figureTextWidth(tickLabel(tick, ticks), points));
    return width;
}

double widest(const QStringList& names, double points)
{
    double width = 0.0;
    for (const QString& name : names)
        width = std::max(width, figureTextWidth(name, points));
    return width;
}

/// Rows and columns of the numbers along a matrix that get a label.
std::vector<double> matrixTicks(int count, double length, double room)
{
    const int most = std::max(2, static_cast<int>(length / room));
    if (count <= most) {
        std::vector<double> all;
        for (int number = 0; number < count; ++number)
            all.push_back(number);
        return all;
    }
    std::vector<double> ticks = niceTicks(0.0, count - 1.0, most);
    std::erase_if(ticks, [](double tick) { return tick != std::floor(tick); });
    return ticks;
}

std::vector<LegendEntry> legendOf(const Chart& chart)
{
    std::vector<LegendEntry> legend;
    const auto add = [&](LegendEntry entry) {
        const bool known = std::ranges::find(legend, entry.name, &LegendEntry::name) != legend.end();
        if (!known && !entry.name.isEmpty())
            legend.push_back(std::move(entry));
    };
    for (const ChartPanel& panel : chart.panels) {
        for (const ChartSeries& series : panel.series)
            add({series.name, series.color, series.mark, series.dashed, {}});
    }
    // One line alone needs no telling apart.
    if (legend.size() == 1)
        legend.clear();
    return legend;
}

/// Lays entries side by side, in as many lines as they need. Returns the height.
double placeLegend(std::vector<LegendEntry>& legend, double left, double top, double width, double font)
{
    if (legend.empty())
        return 0.0;
    const double line = 1.45 * font;
    double x = left;
    double y = top + font;
    for (LegendEntry& entry : legend) {
        const double length = 3.0 * font + figureTextWidth(entry.name, font) + 1.5 * font;
        if (x > left && x + length - 1.5 * font > left + width) {
            x = left;
            y += line;
        }
        entry.place = QPointF(x, y);
        x += length;
    }
    return y - top + 0.6 * font;
}

/// What a panel needs around its plot.
struct Margins {
    double left = 0.0;
    double right = 0.0;
    double top = 0.0;
    double bottom = 0.0;

    void include(const Margins& other)
    {
        left = std::max(left, other.left);
        right = std::max(right, other.right);
        top = std::max(top, other.top);
        bottom = std::max(bottom, other.bottom);
    }
};

/// Where a panel stands: a band is a row of panels, counterparts have bands of their own.
struct GridCell {
    std::size_t panel = 0;
    std::size_t column = 0;
    std::size_t band = 0;
};

std::size_t columnsOf(const Chart& chart, const ChartSize& size)
{
    const auto groups
        = static_cast<int>(std::ranges::count_if(chart.panels, [](const ChartPanel& panel) { return !panel.below; }));
    if (groups == 0)
        return 1;
    if (size.columns > 0)
        return static_cast<std::size_t>(std::min(size.columns, groups));
    const int most = std::clamp(static_cast<int>(size.width / (narrowestPanel * size.font)), 1, groups);
    // No row with a single panel beside much empty paper: 4 panels in rows of 3 stand better in rows of 2.
    const int rows = (groups + most - 1) / most;
    return static_cast<std::size_t>((groups + rows - 1) / rows);
}

std::vector<GridCell> gridCells(const Chart& chart, std::size_t columns)
{
    std::vector<GridCell> cells;
    std::size_t column = 0;
    std::size_t firstBand = 0; // of the row in hand
    std::size_t bands = 0; // so far
    for (std::size_t panel = 0; panel < chart.panels.size(); ++panel) {
        if (chart.panels[panel].below && !cells.empty()) {
            cells.push_back({panel, cells.back().column, cells.back().band + 1});
        } else {
            if (column == columns) {
                column = 0;
                firstBand = bands;
            }
            cells.push_back({panel, column++, firstBand});
        }
        bands = std::max(bands, cells.back().band + 1);
    }
    return cells;
}

/// The same label is not repeated in every panel: beside a panel's left neighbour, or anywhere in a band under all of
/// whose panels it stands again.
void decideLabels(const Chart& chart, const std::vector<GridCell>& cells, std::vector<PanelLayout>& panels)
{
    for (const GridCell& cell : cells) {
        const ChartPanel& panel = chart.panels[cell.panel];
        PanelLayout& at = panels[cell.panel];
        at.showsYLabel = std::ranges::none_of(cells, [&](const GridCell& other) {
            return other.band == cell.band && other.column + 1 == cell.column
                && chart.panels[other.panel].y.label == panel.y.label;
        });
        const auto repeatedBelow = [&](const GridCell& of) {
            const GridCell* next = nullptr;
            for (const GridCell& other : cells)
                if (other.column == of.column && other.band > of.band && (next == nullptr || other.band < next->band))
                    next = &other;
            return next != nullptr && chart.panels[next->panel].x.label == chart.panels[of.panel].x.label;
        };
        at.showsXLabel = std::ranges::any_of(
            cells, [&](const GridCell& other) { return other.band == cell.band && !repeatedBelow(other); });
    }
}

/// Sets what does not depend on the place: title, source, ticks of the colour bar. `height`: about that of the plot.
Margins marginsOf(const ChartPanel& panel, PanelLayout& at, double font, double width, double height)
{
    const double small = chartSmallText * font;
    const int most = std::max(2, static_cast<int>(height / (2.2 * small)));
    Margins around;
    if (panel.matrix) {
        at.colorTicks = niceTicks(panel.matrix->low, panel.matrix->high, std::min(most, 6));
        around.left = panel.matrix->rowNames.isEmpty() ? figureTextWidth(QStringLiteral("000"), small)
                                                       : widest(panel.matrix->rowNames, small);
        around.right = panel.matrix->showsColorBar ? 4.0 * font + widest(at.colorTicks, small) : 0.8 * font;
    } else {
        around.left = widest(niceTicks(panel.y.low, panel.y.high, std::min(most, 7)), small);
        around.right = 0.8 * font;
    }
    around.left += 0.8 * font + (at.showsYLabel ? 1.4 * font : 0.4 * font);
    at.title = wrappedText(panel.title, width - 2.0 * font, font, 2);
    around.top = 1.25 * font * static_cast<double>(at.title.size()) + 0.3 * font;
    if (!panel.source.isEmpty()) {
        at.source = cutText(panel.source, width - 2.0 * font, small);
        around.top += 1.25 * small;
    }
    const bool hasColumnNames = panel.matrix && !panel.matrix->columnNames.isEmpty();
    at.tickRoom = hasColumnNames ? widest(panel.matrix->columnNames, small) : small;
    around.bottom = 1.2 * font + at.tickRoom + (at.showsXLabel ? 1.4 * font : 0.0);
    return around;
}

void placePanel(const ChartPanel& panel, PanelLayout& at, double font, const QRectF& cell, const QRectF& plot)
{
    const double small = chartSmallText * font;
    at.cell = cell;
    at.plot = plot;
    at.titleBaseline = cell.top() + font;
    at.sourceBaseline = at.titleBaseline + 1.25 * font * static_cast<double>(at.title.size() - 1) + 1.25 * small;
    at.xLabelBaseline = plot.bottom() + 1.9 * font + at.tickRoom;
    at.yLabelRight = cell.left() + 1.1 * font;
    if (panel.matrix) {
        at.xTicks = matrixTicks(
            panel.matrix->columns, plot.width(), (panel.matrix->columnNames.isEmpty() ? 2.5 : 1.1) * small);
        at.yTicks = matrixTicks(panel.matrix->rows, plot.height(), 1.3 * small);
        if (panel.matrix->showsColorBar)
            at.colorBar = QRectF(plot.right() + font, plot.top(), 0.8 * font, plot.height());
        return;
    }
    const auto ticks = [](const ChartAxis& axis, double length, double room, int most) {
        return niceTicks(axis.low, axis.high, std::clamp(static_cast<int>(length / room), 2, most));
    };
    at.xTicks = ticks(panel.x, plot.width(), 4.0 * small, 11);
    at.yTicks = ticks(panel.y, plot.height(), 2.2 * small, 7);
}

/// Places panels in rows and columns from `top` on and gives the y below them. `height`: of all of them, 0 = as needed.
double placePanels(const Chart& chart, const ChartSize& size, double top, double height, ChartLayout& layout)
{
    const double font = size.font;
    const double pad = 0.5 * font;
    const std::size_t columns = columnsOf(chart, size);
    const double width = (size.width - 2.0 * pad) / static_cast<double>(columns);
    const std::vector<GridCell> cells = gridCells(chart, columns);
    decideLabels(chart, cells, layout.panels);
    std::size_t bands = 0;
    for (const GridCell& cell : cells)
        bands = std::max(bands, cell.band + 1);
    const auto count = static_cast<double>(bands);

    // Margins are the same for all panels of a column, and for all of a band, so that plots line up.
    const double roughHeight = height > 0.0 ? std::max(4.0 * font, height / count - 5.0 * font) : 0.6 * width;
    std::vector<Margins> ofColumn(columns);
    std::vector<Margins> ofBand(bands);
    for (const GridCell& cell : cells) {
        const Margins around = marginsOf(chart.panels[cell.panel], layout.panels[cell.panel], font, width, roughHeight);
        ofColumn[cell.column].include(around);
        ofBand[cell.band].include(around);
    }
    double narrowest = width;
    for (const Margins& around : ofColumn)
        narrowest = std::min(narrowest, width - around.left - around.right);
    if (!cells.empty() && narrowest < narrowestPlot * font)
        throw FigureError(fmt::format(
            "width: {:.0f} mm leave no room for {} panels side by side, expected a larger width, fewer columns or a "
            "smaller font",
            size.width / pointsPerMillimetre, columns));
    double margins = 0.0;
    for (const Margins& around : ofBand)
        margins += around.top + around.bottom;
    const double plotHeight = height > 0.0 && bands > 0
        ? (height - margins) / count
        : std::clamp(0.62 * narrowest, readablePlot * font, 22.0 * font);
    if (!cells.empty() && plotHeight < lowestPlot * font)
        throw FigureError(fmt::format(
            "height: {:.0f} mm leave no room for {} rows of panels, expected a larger height or a smaller font",
            size.height / pointsPerMillimetre, bands));
    layout.leastHeight += margins + readablePlot * font * count;

    std::vector<double> bandTop;
    double y = top;
    for (const Margins& around : ofBand) {
        bandTop.push_back(y);
        y += around.top + plotHeight + around.bottom;
    }
    for (const GridCell& cell : cells) {
        const Margins& across = ofColumn[cell.column];
        const Margins& along = ofBand[cell.band];
        const double left = pad + width * static_cast<double>(cell.column);
        placePanel(chart.panels[cell.panel], layout.panels[cell.panel], font,
            QRectF(left, bandTop[cell.band], width, along.top + plotHeight + along.bottom),
            QRectF(left + across.left, bandTop[cell.band] + along.top, width - across.left - across.right, plotHeight));
    }
    return y;
}

} // namespace

double placeOfX(const ChartPanel& panel, const PanelLayout& at, double x)
{
    const double share = (x - panel.x.low) / (panel.x.high - panel.x.low);
    return at.plot.left() + (panel.x.reversed ? 1.0 - share : share) * at.plot.width();
}

double placeOfY(const ChartPanel& panel, const PanelLayout& at, double y)
{
    const double share = (y - panel.y.low) / (panel.y.high - panel.y.low);
    return at.plot.bottom() - (panel.y.reversed ? 1.0 - share : share) * at.plot.height();
}

QPointF placeOfPoint(
    const ChartPanel& panel, const PanelLayout& at, double font, std::size_t series, double x, double y)
{
    const QPointF place(placeOfX(panel, at, x), placeOfY(panel, at, y));
    const double near = 0.004 * (panel.x.high - panel.x.low);
    const auto whiskerHere = [&](const ChartSeries& other) {
        return !other.band && std::ranges::any_of(other.points, [&](const ChartPoint& point) {
            return point.interval && std::abs(point.x - x) <= near;
        });
    };
    if (!whiskerHere(panel.series[series]))
        return place;
    int number = 0;
    int count = 0;
    for (std::size_t other = 0; other < panel.series.size(); ++other) {
        if (!whiskerHere(panel.series[other]))
            continue;
        number += other < series ? 1 : 0;
        ++count;
    }
    const double spread = std::min(0.3 * font, 0.045 * at.plot.width() / count);
    return place + QPointF((number - 0.5 * (count - 1)) * spread, 0.0);
}

QRectF placeOfCell(const ChartPanel& panel, const PanelLayout& at, int row, int column)
{
    const double width = at.plot.width() / panel.matrix->columns;
    const double height = at.plot.height() / panel.matrix->rows;
    return {at.plot.left() + column * width, at.plot.top() + row * height, width, height};
}

ChartLayout layOutChart(const Chart& chart, const ChartSize& size)
{
    const double font = size.font;
    const double small = chartSmallText * font;
    const double pad = 0.5 * font;
    const double inner = size.width - 2.0 * pad;
    ChartLayout layout;
    layout.font = font;
    layout.panels.resize(chart.panels.size());

    double top = pad;
    if (!chart.title.isEmpty()) {
        layout.titleLines = wrappedText(chart.title, inner, font);
        layout.titleBaseline = top + font;
        top += 1.3 * font * static_cast<double>(layout.titleLines.size()) + 0.4 * font;
    }
    layout.legend = legendOf(chart);
    top += placeLegend(layout.legend, pad, top, inner, font);

    double bottom = pad;
    QStringList notes;
    for (const QString& note : chart.notes)
        notes << wrappedText(note, inner, small);
    layout.noteLines = notes;
    bottom += 1.3 * small * static_cast<double>(notes.size()) + (notes.isEmpty() ? 0.0 : 0.4 * font);

    layout.leastHeight = top + bottom;
    const double y = placePanels(chart, size, top, size.height > 0.0 ? size.height - top - bottom : 0.0, layout);
    layout.noteBaseline = y + 0.2 * font + small;
    layout.page = QSizeF(size.width, size.height > 0.0 ? size.height : y + bottom);
    return layout;
}

std::optional<ChartTarget> chartTargetAt(const Chart& chart, const ChartLayout& layout, QPointF place, double radius)
{
    std::optional<ChartTarget> best;
    double nearest = radius;
    for (std::size_t index = 0; index < chart.panels.size(); ++index) {
        const ChartPanel& panel = chart.panels[index];
        const PanelLayout& at = layout.panels[index];
        const auto number = static_cast<int>(index);
        if (panel.matrix) {
            if (!at.plot.contains(place))
                continue;
            const auto step = [](double offset, double length, int count) {
                return std::clamp(static_cast<int>(offset / length * count), 0, count - 1);
            };
            return ChartTarget{number, -1, -1, step(place.y() - at.plot.top(), at.plot.height(), panel.matrix->rows),
                step(place.x() - at.plot.left(), at.plot.width(), panel.matrix->columns)};
        }
        for (std::size_t series = 0; series < panel.series.size(); ++series) {
            const std::vector<ChartPoint>& points = panel.series[series].points;
            for (std::size_t point = 0; point < points.size(); ++point) {
                const QPointF there = placeOfPoint(panel, at, layout.font, series, points[point].x, points[point].y);
                const double distance = std::hypot(there.x() - place.x(), there.y() - place.y());
                if (distance < nearest) {
                    nearest = distance;
                    best = ChartTarget{number, static_cast<int>(series), static_cast<int>(point), -1, -1};
                }
            }
        }
    }
    return best;
}

QPointF placeOfTarget(const Chart& chart, const ChartLayout& layout, const ChartTarget& target)
{
    const ChartPanel& panel = chart.panels[static_cast<std::size_t>(target.panel)];
    const PanelLayout& at = layout.panels[static_cast<std::size_t>(target.panel)];
    if (target.series < 0)
        return placeOfCell(panel, at, target.row, target.column).center();
    const auto series = static_cast<std::size_t>(target.series);
    const ChartPoint& point = panel.series[series].points[static_cast<std::size_t>(target.point)];
    return placeOfPoint(panel, at, layout.font, series, point.x, point.y);
}

QString targetText(const Chart& chart, const ChartTarget& target)
{
    const ChartPanel& panel = chart.panels[static_cast<std::size_t>(target.panel)];
    if (target.series < 0)
        return cellText(panel, target.row, target.column);
    const ChartSeries& series = panel.series[static_cast<std::size_t>(target.series)];
    return series.points[static_cast<std::size_t>(target.point)].text;
}

} // namespace kvloupe
