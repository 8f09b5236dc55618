// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/chart/chart_layout.h"

#include "views/figure/figure_spec.h"
#include "views/figure/point_painter.h"

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

QString cutTo(QString text, double width, double points)
{
    if (figureTextWidth(text, points) <= width)
        return text;
    while (text.size() > 1 && figureTextWidth(text + QChar(u'…'), points) > width)
        text.chop(1);
    return text + QChar(u'…');
}

/// Breaks at blanks; a single word that is too long is cut.
QStringList wrapped(const QString& text, double width, double points, int most = 100)
{
    QStringList lines;
    QString line;
    for (const QString& word : text.split(QLatin1Char(' '), Qt::SkipEmptyParts)) {
        const QString longer = line.isEmpty() ? word : line + QLatin1Char(' ') + word;
        if (line.isEmpty() || lines.size() + 1 == most || figureTextWidth(longer, points) <= width) {
            line = longer;
            continue;
        }
        lines << line;
        line = word;
    }
    if (!line.isEmpty())
        lines << line;
    for (QString& cut : lines)
        cut = cutTo(cut, width, points);
    return lines;
}

double widest(const std::vector<double>& ticks, double points)
{
    double width = 0.0;
    for (const double tick : ticks)
        width = std::max(width, figureTextWidth(tickLabel(tick, ticks), points));
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

/// A panel and those under it stand in one slot of the grid.
struct GridPlace {
    std::vector<std::size_t> panels;
};

std::vector<GridPlace> gridPlaces(const Chart& chart)
{
    std::vector<GridPlace> places;
    for (std::size_t index = 0; index < chart.panels.size(); ++index) {
        if (places.empty() || !chart.panels[index].below)
            places.emplace_back();
        places.back().panels.push_back(index);
    }
    return places;
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

/// Whether the lowest panels of a row of the grid have labels below: where one of them has nothing like it underneath.
bool showsXLabels(const Chart& chart, const std::vector<GridPlace>& places, int row, int columns)
{
    const auto count = static_cast<int>(places.size());
    for (int place = row * columns; place < std::min(count, (row + 1) * columns); ++place) {
        const int below = place + columns;
        if (below >= count)
            return true;
        const auto& above = places[static_cast<std::size_t>(place)].panels;
        const auto& under = places[static_cast<std::size_t>(below)].panels;
        if (chart.panels[above.back()].x.label != chart.panels[under.front()].x.label)
            return true;
    }
    return false;
}

/// What a panel needs around its plot.
struct Margins {
    double left = 0.0;
    double right = 0.0;
    double top = 0.0;
    double bottom = 0.0;
};

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
        layout.titleLines = wrapped(chart.title, inner, font);
        layout.titleBaseline = top + font;
        top += 1.3 * font * static_cast<double>(layout.titleLines.size()) + 0.4 * font;
    }
    layout.legend = legendOf(chart);
    top += placeLegend(layout.legend, pad, top, inner, font);

    double bottom = pad;
    QStringList notes;
    for (const QString& note : chart.notes)
        notes << wrapped(note, inner, small);
    layout.noteLines = notes;
    bottom += 1.3 * small * static_cast<double>(notes.size()) + (notes.isEmpty() ? 0.0 : 0.4 * font);

    const std::vector<GridPlace> places = gridPlaces(chart);
    const auto slotCount = static_cast<int>(places.size());
    int columns = size.columns > 0 ? size.columns : static_cast<int>(inner / (narrowestPanel * font));
    columns = std::clamp(columns, 1, std::max(1, slotCount));
    if (size.columns == 0 && slotCount > 0) {
        // No row with a single panel beside much empty paper: 4 panels in rows of 3 stand better in rows of 2.
        const int rows = (slotCount + columns - 1) / columns;
        columns = (slotCount + rows - 1) / rows;
    }
    const int gridRows = slotCount == 0 ? 0 : (slotCount + columns - 1) / columns;
    const double slotWidth = inner / columns;
    int bands = 0; // rows of panels, counterparts below included
    std::vector<int> depth(static_cast<std::size_t>(gridRows), 1);
    for (int slot = 0; slot < slotCount; ++slot) {
        int& deepest = depth[static_cast<std::size_t>(slot / columns)];
        deepest = std::max(deepest, static_cast<int>(places[static_cast<std::size_t>(slot)].panels.size()));
    }
    for (const int rows : depth)
        bands += rows;

    // Margins are the same for all panels of a column, and for all of a row, so that plots line up.
    const double guessedHeight = size.height > 0.0 && bands > 0
        ? std::max(4.0 * font, (size.height - top - bottom) / bands - 5.0 * font)
        : 0.6 * slotWidth;
    std::vector<Margins> margins(chart.panels.size());
    std::vector<double> columnLeft(static_cast<std::size_t>(columns), 0.0);
    std::vector<double> columnRight(static_cast<std::size_t>(columns), 0.0);
    for (int slot = 0; slot < slotCount; ++slot) {
        const auto column = static_cast<std::size_t>(slot % columns);
        const std::vector<std::size_t>& members = places[static_cast<std::size_t>(slot)].panels;
        for (std::size_t place = 0; place < members.size(); ++place) {
            const std::size_t index = members[place];
            const ChartPanel& panel = chart.panels[index];
            PanelLayout& at = layout.panels[index];
            Margins& around = margins[index];
            const bool leftmost = column == 0;
            if (!leftmost) {
                const std::vector<std::size_t>& beside = places[static_cast<std::size_t>(slot - 1)].panels;
                at.showsYLabel = place >= beside.size() || chart.panels[beside[place]].y.label != panel.y.label;
            }
            at.showsXLabel = place + 1 < members.size() ? chart.panels[members[place + 1]].x.label != panel.x.label
                                                        : showsXLabels(chart, places, slot / columns, columns);
            const int most = std::max(2, static_cast<int>(guessedHeight / (2.2 * small)));
            if (panel.matrix) {
                at.colorTicks = niceTicks(panel.matrix->low, panel.matrix->high, std::min(most, 6));
                around.left = figureTextWidth(QStringLiteral("000"), small);
                around.right
                    = 1.0 * font + 0.8 * font + 0.6 * font + widest(at.colorTicks, small) + 0.4 * font + 1.2 * font;
            } else {
                at.yTicks = niceTicks(panel.y.low, panel.y.high, std::min(most, 7));
                around.left = widest(at.yTicks, small);
                around.right = 0.8 * font;
            }
            around.left += 0.8 * font + (at.showsYLabel ? 1.4 * font : 0.4 * font);
            at.title = wrapped(panel.title, slotWidth - 2.0 * font, font, 2);
            around.top = 1.25 * font * static_cast<double>(at.title.size()) + 0.3 * font;
            if (!panel.source.isEmpty()) {
                at.source = cutTo(panel.source, slotWidth - 2.0 * font, small);
                around.top += 1.25 * small;
            }
            around.bottom = 0.6 * font + small + (at.showsXLabel ? 1.4 * font : 0.0) + 0.6 * font;
            columnLeft[column] = std::max(columnLeft[column], around.left);
            columnRight[column] = std::max(columnRight[column], around.right);
        }
    }
    std::vector<double> bandTop;
    std::vector<double> bandBottom;
    std::vector<std::size_t> firstBand;
    for (int row = 0; row < gridRows; ++row) {
        firstBand.push_back(bandTop.size());
        for (int place = 0; place < depth[static_cast<std::size_t>(row)]; ++place) {
            double above = 0.0;
            double under = 0.0;
            for (int slot = row * columns; slot < std::min(slotCount, (row + 1) * columns); ++slot) {
                const auto& members = places[static_cast<std::size_t>(slot)].panels;
                if (static_cast<std::size_t>(place) < members.size()) {
                    above = std::max(above, margins[members[static_cast<std::size_t>(place)]].top);
                    under = std::max(under, margins[members[static_cast<std::size_t>(place)]].bottom);
                }
            }
            bandTop.push_back(above);
            bandBottom.push_back(under);
        }
    }

    double narrowest = std::numeric_limits<double>::max();
    for (std::size_t column = 0; column < columnLeft.size(); ++column)
        narrowest = std::min(narrowest, slotWidth - columnLeft[column] - columnRight[column]);
    if (slotCount > 0 && narrowest < narrowestPlot * font)
        throw FigureError(fmt::format(
            "width: {:.0f} mm leave no room for {} panels side by side, expected a larger width, fewer columns or a "
            "smaller font",
            size.width / pointsPerMillimetre, columns));
    double around = 0.0;
    for (std::size_t band = 0; band < bandTop.size(); ++band)
        around += bandTop[band] + bandBottom[band];
    const double natural = std::clamp(0.62 * narrowest, readablePlot * font, 22.0 * font);
    double plotHeight = natural;
    if (size.height > 0.0 && bands > 0) {
        plotHeight = (size.height - top - bottom - around) / bands;
        if (plotHeight < lowestPlot * font)
            throw FigureError(fmt::format(
                "height: {:.0f} mm leave no room for {} rows of panels, expected a larger height or a smaller font",
                size.height / pointsPerMillimetre, bands));
    }

    layout.leastHeight = top + bottom + around + readablePlot * font * bands;
    double y = top;
    for (int row = 0; row < gridRows; ++row) {
        for (int place = 0; place < depth[static_cast<std::size_t>(row)]; ++place) {
            const std::size_t band = firstBand[static_cast<std::size_t>(row)] + static_cast<std::size_t>(place);
            for (int slot = row * columns; slot < std::min(slotCount, (row + 1) * columns); ++slot) {
                const auto& members = places[static_cast<std::size_t>(slot)].panels;
                if (static_cast<std::size_t>(place) >= members.size())
                    continue;
                const std::size_t index = members[static_cast<std::size_t>(place)];
                const auto column = static_cast<std::size_t>(slot % columns);
                const ChartPanel& panel = chart.panels[index];
                PanelLayout& at = layout.panels[index];
                const double x = pad + slotWidth * static_cast<double>(column);
                at.cell = QRectF(x, y, slotWidth, bandTop[band] + plotHeight + bandBottom[band]);
                at.plot = QRectF(x + columnLeft[column], y + bandTop[band],
                    slotWidth - columnLeft[column] - columnRight[column], plotHeight);
                at.titleBaseline = y + font;
                at.sourceBaseline
                    = at.titleBaseline + 1.25 * font * static_cast<double>(at.title.size() - 1) + 1.25 * small;
                at.xLabelBaseline = at.plot.bottom() + 0.6 * font + small + 1.3 * font;
                at.yLabelRight = x + 1.1 * font;
                const double narrow = 2.2 * small;
                if (panel.matrix) {
                    at.xTicks = matrixTicks(panel.matrix->columns, at.plot.width(), 2.5 * small);
                    at.yTicks = matrixTicks(panel.matrix->rows, at.plot.height(), 1.3 * small);
                    at.colorBar = QRectF(at.plot.right() + font, at.plot.top(), 0.8 * font, at.plot.height());
                } else {
                    at.xTicks = niceTicks(panel.x.low, panel.x.high,
                        std::clamp(static_cast<int>(at.plot.width() / (4.0 * small)), 2, 11));
                    at.yTicks = niceTicks(
                        panel.y.low, panel.y.high, std::clamp(static_cast<int>(at.plot.height() / narrow), 2, 7));
                }
            }
            y += bandTop[band] + plotHeight + bandBottom[band];
        }
    }
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
