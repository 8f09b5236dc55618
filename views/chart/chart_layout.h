// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/chart/chart.h"

#include <QPointF>
#include <QRectF>
#include <QSizeF>

#include <optional>
#include <vector>

namespace kvloupe {

/// Size of tick labels, sources and notes, relative to the font.
inline constexpr double chartSmallText = 0.85;

/// Where the parts of a panel lie, in points from the top left corner of the chart.
struct PanelLayout {
    QRectF cell; ///< everything of the panel
    QRectF plot; ///< inside of the frame
    QStringList title; ///< in lines
    double titleBaseline = 0.0; ///< of the first line
    QString source; ///< cut to the width
    double sourceBaseline = 0.0;
    bool showsXLabel = true; ///< the same label is not repeated under every panel
    bool showsYLabel = true;
    double tickRoom = 0.0; ///< height of the labels along x
    double xLabelBaseline = 0.0;
    double yLabelRight = 0.0; ///< x of the baseline of the rotated label
    std::vector<double> xTicks;
    std::vector<double> yTicks;
    std::vector<double> colorTicks;
    QRectF colorBar; ///< empty without a matrix
};

/// An entry of the legend: what the lines of one name look like.
struct LegendEntry {
    QString name;
    QColor color;
    ChartMark mark = ChartMark::None;
    bool dashed = false;
    QPointF place; ///< left end of the sample line, on the baseline of the text
};

struct ChartLayout {
    QSizeF page;
    double leastHeight = 0.0; ///< points; in less, panels are hard to read
    double font = 8.0; ///< points
    double titleBaseline = 0.0; ///< 0 = no title
    QStringList titleLines;
    std::vector<LegendEntry> legend;
    QStringList noteLines;
    double noteBaseline = 0.0; ///< of the first
    std::vector<PanelLayout> panels;
};

struct ChartSize {
    double width = 0.0; ///< points
    double height = 0.0; ///< points, 0 = what the panels need
    double font = 8.0; ///< points
    int columns = 0; ///< panels side by side, 0 = as many as fit
};

/// Places every part. The width of texts is that of figureTextWidth(), so the same chart lies the same on every device.
/// Throws FigureError if panels do not fit beside their text.
ChartLayout layOutChart(const Chart& chart, const ChartSize& size);

/// The place of a value on the panel, in points.
double placeOfX(const ChartPanel& panel, const PanelLayout& at, double x);
double placeOfY(const ChartPanel& panel, const PanelLayout& at, double y);
/// The place of a point: where whiskers of several lines would lie on each other they are moved apart by a little.
QPointF placeOfPoint(
    const ChartPanel& panel, const PanelLayout& at, double font, std::size_t series, double x, double y);
QRectF placeOfCell(const ChartPanel& panel, const PanelLayout& at, int row, int column);

/// A point of a line, or a cell of a matrix.
struct ChartTarget {
    int panel = -1;
    int series = -1; ///< -1 in a matrix
    int point = -1;
    int row = -1;
    int column = -1;

    bool operator==(const ChartTarget&) const = default;
};
/// What lies at `place`: the nearest point within `radius` points, or the cell under it.
std::optional<ChartTarget> chartTargetAt(const Chart& chart, const ChartLayout& layout, QPointF place, double radius);
/// Centre of a target, in points.
QPointF placeOfTarget(const Chart& chart, const ChartLayout& layout, const ChartTarget& target);
/// The numbers of a target in words.
QString targetText(const Chart& chart, const ChartTarget& target);

} // namespace kvloupe
