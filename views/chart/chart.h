// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/results/statistics.h"
#include "views/figure/figure_table.h"
#include "views/heatmap/color_map.h"

#include <QByteArray>
#include <QColor>
#include <QString>
#include <QStringList>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace kvloupe {

/// Shapes that tell lines apart where colours do not, in print and to any colour vision.
enum class ChartMark { None, Circle, Square, Triangle, Diamond, TriangleDown, Cross, Plus };

struct ChartPoint {
    double x = 0.0; ///< in the units of its axes, finite
    double y = 0.0;
    std::optional<Interval> interval; ///< of y
    std::int64_t count = -1; ///< samples behind it, -1 = not known
    QString text; ///< the numbers in words, for a tooltip
    int number = -1; ///< what its maker knows it by
    QString key; ///< what it is, whatever the axes: the same in every chart of a line

    bool operator==(const ChartPoint&) const = default;
};

struct ChartSeries {
    QString name; ///< the same name is the same line in every panel: one entry in the legend
    QColor color;
    ChartMark mark = ChartMark::Circle;
    bool dashed = false; ///< with hollow marks: numbers that were not measured by us
    bool band = false; ///< intervals as a band, else as whiskers
    std::vector<ChartPoint> points; ///< ascending in x
};

struct ChartAxis {
    QString label; ///< with its unit
    double low = 0.0; ///< low < high
    double high = 1.0;
    bool reversed = false; ///< high at the left, or at the bottom
};

/// A horizontal line that values are compared with.
struct ChartReference {
    QString name;
    double y = 0.0;
};

/// Values on a grid, as coloured cells: columns along x, row 0 at the top.
struct ChartMatrix {
    int rows = 0;
    int columns = 0;
    std::vector<double> values; ///< [rows, columns], NaN = none
    double low = 0.0; ///< value of the first colour, low < high
    double high = 1.0;
    bool diverging = false; ///< blue below 0, red above: for differences, with low = -high
    ColorMap map = ColorMap::Viridis;
    QString valueName; ///< with its unit: label of the colour bar
    bool showsColorBar = true; ///< a page paints one for several panels
    std::vector<int> rowNumbers; ///< what rows and columns are called
    std::vector<int> columnNumbers;
    QStringList rowNames; ///< instead of numbers
    QStringList columnNames;
    bool showsValues = false; ///< as text in the cells, if there is room

    QString rowName(int row) const;
    QString columnName(int column) const;
    double at(int row, int column) const { return values[static_cast<std::size_t>(row * columns + column)]; }
};

struct ChartPanel {
    QString title;
    QString source; ///< where numbers come from that are not ours; such a panel is tinted and says so
    bool below = false; ///< stands under the panel before it, as its counterpart
    ChartAxis x;
    ChartAxis y;
    std::vector<ChartReference> references;
    std::vector<ChartSeries> series;
    std::optional<ChartMatrix> matrix; ///< instead of series; only the labels of the axes count then
};

/// Small multiples: panels of lines with intervals, or of coloured cells. Numbers only; chart_layout.h places them and
/// chart_painter.h paints them, the same in a window and in a file.
struct Chart {
    QString title;
    QStringList notes; ///< sentences below the panels
    std::vector<ChartPanel> panels;
};

/// Low and high of an axis that shows all values, widened to round numbers; {0, 1} without any.
std::array<double, 2> niceRange(double low, double high);
/// Round numbers in [low, high], at most `most` and at least two where there is room for as many.
std::vector<double> niceTicks(double low, double high, int most);
/// With as many decimals as tell neighbouring ticks apart.
QString tickLabel(double value, const std::vector<double>& ticks);

/// Colour of a cell; nothing for NaN.
std::optional<QColor> matrixColor(const ChartMatrix& matrix, double value);
/// The number of a cell in words: "layer 3, head 7: 0.41".
QString cellText(const ChartPanel& panel, int row, int column);

/// The chart as lines of text, for tests and screen readers.
QString chartText(const Chart& chart);

/// Exactly what is shown, one line per point or cell: panel, source, series, x_name, x, row_name, row, value_name,
/// value, low, high, samples.
FigureTable chartTable(const Chart& chart);
QByteArray chartCsv(const Chart& chart);

/// Colours and marks of lines by name, always the same for the same names in the same order: methods that have a colour
/// in the window have it here, others get what is free.
class SeriesStyles {
public:
    struct Style {
        QColor color;
        ChartMark mark = ChartMark::Circle;
    };
    /// `method`: a registry name, empty for lines that are no methods.
    Style of(const std::string& name, const std::string& method = {});

private:
    std::vector<std::pair<std::string, Style>> m_styles;
};

} // namespace kvloupe
