// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/chart/chart.h"

#include "views/figure/point_painter.h"
#include "views/methods/method_model.h"

#include <QCoreApplication>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace kvloupe {

namespace {

QString translate(const char* text)
{
    return QCoreApplication::translate("Chart", text);
}

QString shortNumber(double value)
{
    return QString::number(value, 'g', 4);
}

/// As many as do not share a divisor with the number of colours, so that pairs repeat late.
constexpr std::array marks{ChartMark::Circle, ChartMark::Square, ChartMark::Triangle, ChartMark::Diamond,
    ChartMark::TriangleDown, ChartMark::Cross, ChartMark::Plus};

/// 1, 2 or 5 times a power of ten, the smallest that is at least `minimum`.
double niceStep(double minimum)
{
    const double power = std::pow(10.0, std::floor(std::log10(minimum)));
    for (const double factor : {1.0, 2.0, 5.0})
        if (factor * power >= minimum * (1.0 - 1e-9))
            return factor * power;
    return 10.0 * power;
}

std::string csvNumber(double value)
{
    return std::isfinite(value) ? fmt::format("{}", value) : std::string();
}

} // namespace

QString ChartMatrix::rowName(int row) const
{
    return rowNames.isEmpty() ? QString::number(rowNumbers[static_cast<std::size_t>(row)]) : rowNames[row];
}

QString ChartMatrix::columnName(int column) const
{
    return columnNames.isEmpty() ? QString::number(columnNumbers[static_cast<std::size_t>(column)])
                                 : columnNames[column];
}

std::array<double, 2> niceRange(double low, double high)
{
    if (!(low <= high))
        return {0.0, 1.0};
    if (low == high) {
        const double half = low == 0.0 ? 0.5 : std::abs(low) * 0.1;
        low -= half;
        high += half;
    }
    const double step = niceStep((high - low) / 5.0);
    return {std::floor(low / step + 1e-9) * step, std::ceil(high / step - 1e-9) * step};
}

std::vector<double> niceTicks(double low, double high, int most)
{
    double step = niceStep((high - low) / std::max(1, most - 1));
    const auto count = [&] { return std::floor(high / step + 1e-9) - std::ceil(low / step - 1e-9) + 1.0; };
    while (count() > std::max(2, most))
        step = niceStep(step * 1.5);
    std::vector<double> ticks;
    for (double number = std::ceil(low / step - 1e-9); number <= std::floor(high / step + 1e-9); ++number)
        ticks.push_back(number == 0.0 ? 0.0 : number * step);
    return ticks;
}

QString tickLabel(double value, const std::vector<double>& ticks)
{
    const double step = ticks.size() > 1 ? std::abs(ticks[1] - ticks[0]) : std::abs(value);
    if (step == 0.0)
        return QStringLiteral("0");
    const double largest = std::max(std::abs(ticks.front()), std::abs(ticks.back()));
    if (step < 1e-4 || largest >= 1e6)
        return QString::number(value, 'g', 3);
    const int decimals = std::clamp(static_cast<int>(std::ceil(-std::log10(step) - 1e-9)), 0, 6);
    return QString::number(value, 'f', decimals);
}

std::optional<QColor> matrixColor(const ChartMatrix& matrix, double value)
{
    if (std::isnan(value))
        return std::nullopt;
    const double share = std::clamp((value - matrix.low) / (matrix.high - matrix.low), 0.0, 1.0);
    if (!matrix.diverging) {
        const auto entries = colorMapEntries(matrix.map);
        return QColor(entries[static_cast<std::size_t>(std::lround(share * 255.0))]);
    }
    // Ends that stay apart with any colour vision, even steps of lightness to a near-white middle (after ColorBrewer's
    // RdBu).
    const QColor middle(0xF7, 0xF7, 0xF7);
    const double distance = std::abs(2.0 * share - 1.0);
    const QColor half = share < 0.5 ? QColor(0x67, 0xA9, 0xCF) : QColor(0xEF, 0x8A, 0x62);
    const QColor end = share < 0.5 ? QColor(0x05, 0x30, 0x61) : QColor(0x67, 0x00, 0x1F);
    return distance < 0.5 ? mixColors(middle, half, 2.0 * distance) : mixColors(half, end, 2.0 * distance - 1.0);
}

QString cellText(const ChartPanel& panel, int row, int column)
{
    const ChartMatrix& matrix = *panel.matrix;
    const double value = matrix.at(row, column);
    return translate("%1 %2, %3 %4: %5")
        .arg(panel.y.label)
        .arg(matrix.rowName(row))
        .arg(panel.x.label)
        .arg(matrix.columnName(column))
        .arg(std::isnan(value) ? translate("not measured") : shortNumber(value));
}

QString chartText(const Chart& chart)
{
    QStringList lines;
    if (!chart.title.isEmpty())
        lines << chart.title;
    for (const ChartPanel& panel : chart.panels) {
        QString head = QStringLiteral("# ") + panel.title;
        if (!panel.source.isEmpty())
            head += QStringLiteral(" | from ") + panel.source;
        lines << head;
        if (panel.matrix) {
            const ChartMatrix& matrix = *panel.matrix;
            lines << QStringLiteral("%1 by %2: %3, %4 to %5")
                         .arg(panel.y.label, panel.x.label, matrix.valueName, shortNumber(matrix.low),
                             shortNumber(matrix.high));
            for (int row = 0; row < matrix.rows; ++row) {
                QStringList cells;
                for (int column = 0; column < matrix.columns; ++column) {
                    const double value = matrix.at(row, column);
                    cells << (std::isnan(value) ? QStringLiteral("-") : shortNumber(value));
                }
                lines << matrix.rowName(row) + QStringLiteral(": ") + cells.join(QLatin1Char(' '));
            }
            continue;
        }
        const double left = panel.x.reversed ? panel.x.high : panel.x.low;
        const double right = panel.x.reversed ? panel.x.low : panel.x.high;
        lines << QStringLiteral("%1 %2 to %3, %4 %5 to %6")
                     .arg(panel.x.label, shortNumber(left), shortNumber(right), panel.y.label, shortNumber(panel.y.low),
                         shortNumber(panel.y.high));
        for (const ChartReference& reference : panel.references)
            lines << QStringLiteral("-- %1 at %2").arg(reference.name, shortNumber(reference.y));
        for (const ChartSeries& series : panel.series) {
            QStringList points;
            for (const ChartPoint& point : series.points) {
                QString text = shortNumber(point.x) + QLatin1Char('=') + shortNumber(point.y);
                if (point.interval)
                    text += QStringLiteral(" [%1, %2]")
                                .arg(shortNumber(point.interval->low), shortNumber(point.interval->high));
                if (point.count >= 0)
                    text += QStringLiteral(" n=%1").arg(point.count);
                points << text;
            }
            lines << series.name + (series.dashed ? QStringLiteral(" (dashed): ") : QStringLiteral(": "))
                    + points.join(QStringLiteral("; "));
        }
    }
    lines << chart.notes;
    return lines.join(QLatin1Char('\n')) + QLatin1Char('\n');
}

FigureTable chartTable(const Chart& chart)
{
    FigureTable table;
    table.columns = {
        "panel", "source", "series", "x_name", "x", "row_name", "row", "value_name", "value", "low", "high", "samples"};
    table.rows = [panels = chart.panels](const FigureTable::Row& give) {
        const auto text = [](const QString& words) { return csvQuoted(words.toStdString()); };
        const auto number = [](const std::vector<int>& numbers, int index) {
            return fmt::to_string(numbers[static_cast<std::size_t>(index)]);
        };
        for (const ChartPanel& panel : panels) {
            const std::string title = text(panel.title);
            const std::string source = text(panel.source);
            if (panel.matrix) {
                const ChartMatrix& matrix = *panel.matrix;
                for (int row = 0; row < matrix.rows; ++row)
                    for (int column = 0; column < matrix.columns; ++column)
                        give(std::array<std::string, 12>{title, source, "", text(panel.x.label),
                            matrix.columnNames.empty() ? number(matrix.columnNumbers, column)
                                                       : text(matrix.columnName(column)),
                            text(panel.y.label),
                            matrix.rowNames.empty() ? number(matrix.rowNumbers, row) : text(matrix.rowName(row)),
                            text(matrix.valueName), csvNumber(matrix.at(row, column)), "", "", ""});
                continue;
            }
            for (const ChartReference& reference : panel.references)
                give(std::array<std::string, 12>{title, source, text(reference.name), text(panel.x.label), "", "", "",
                    text(panel.y.label), csvNumber(reference.y), "", "", ""});
            for (const ChartSeries& series : panel.series)
                for (const ChartPoint& point : series.points)
                    give(std::array<std::string, 12>{title, source, text(series.name), text(panel.x.label),
                        csvNumber(point.x), "", "", text(panel.y.label), csvNumber(point.y),
                        point.interval ? csvNumber(point.interval->low) : "",
                        point.interval ? csvNumber(point.interval->high) : "",
                        point.count >= 0 ? fmt::to_string(point.count) : ""});
        }
    };
    return table;
}

QByteArray chartCsv(const Chart& chart)
{
    return csvOf(chartTable(chart));
}

SeriesStyles::Style SeriesStyles::of(const std::string& name, const std::string& method)
{
    const auto known = std::ranges::find(m_styles, name, &std::pair<std::string, Style>::first);
    if (known != m_styles.end())
        return known->second;
    // Yellow, the last, is too pale for a thin line on paper; the colour of the full cache is left to it.
    std::vector<QColor> colors = methodColors();
    colors.pop_back();
    std::erase(colors, methodColor("full", 0));
    const auto isFree = [this](const QColor& color) {
        return std::ranges::none_of(m_styles, [&](const auto& entry) { return entry.second.color == color; });
    };
    const QColor own = methodColor(method, 0);
    const bool hasOwn = own == methodColor(method, 1); // the same whatever the fallback
    const auto free = std::ranges::find_if(colors, isFree);
    Style style;
    style.mark = marks[m_styles.size() % marks.size()];
    style.color = hasOwn && isFree(own) ? own : free != colors.end() ? *free : colors[m_styles.size() % colors.size()];
    m_styles.emplace_back(name, style);
    return style;
}

} // namespace kvloupe
