// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/chart/chart.h"

#include <cmath>

namespace kvloupe {

/// Two tasks with two lines each, of which the second task has a counterpart from elsewhere under it.
inline Chart madeLines()
{
    const auto line = [](const QString& name, const QColor& color, ChartMark mark, std::vector<double> values) {
        ChartSeries series{name, color, mark, false, false, {}};
        double x = 10.0;
        int number = 0;
        for (const double y : values) {
            series.points.push_back(
                {x, y, Interval{y - 5.0, y + 5.0}, 40, QStringLiteral("%1: %2 %").arg(name).arg(y), number++, {}});
            x += 20.0;
        }
        return series;
    };
    ChartPanel panel;
    panel.x = {QStringLiteral("kept (%)"), 0.0, 100.0, true};
    panel.y = {QStringLiteral("accuracy (%)"), 0.0, 100.0, false};
    panel.references.push_back({QStringLiteral("full cache"), 80.0});
    Chart chart;
    chart.title = QStringLiteral("a model");
    for (const char* task : {"ar", "wk"}) {
        panel.title = QString::fromUtf8(task);
        panel.series = {line(QStringLiteral("SnapKV"), QColor(0xD5, 0x5E, 0x00), ChartMark::Circle, {30, 50, 75}),
            line(QStringLiteral("H2O"), QColor(0x00, 0x72, 0xB2), ChartMark::Square, {20, 60, 70})};
        chart.panels.push_back(panel);
    }
    ChartPanel published = panel;
    published.title = QStringLiteral("WK");
    published.source = QStringLiteral("arXiv, Table 7");
    published.below = true;
    published.series.resize(1);
    published.series[0].dashed = true;
    for (ChartPoint& point : published.series[0].points)
        point.interval.reset();
    chart.panels.push_back(published);
    chart.notes << QStringLiteral("Whiskers: 95 %.");
    return chart;
}

/// Three layers of four heads, one cell of which was not measured.
inline Chart madeMatrix(bool diverging = false)
{
    ChartPanel panel;
    panel.title = QStringLiteral("instruct");
    panel.x.label = QStringLiteral("head");
    panel.y.label = QStringLiteral("layer");
    ChartMatrix matrix;
    matrix.rows = 3;
    matrix.columns = 4;
    matrix.rowNumbers = {0, 5, 9};
    matrix.columnNumbers = {0, 1, 2, 3};
    for (int cell = 0; cell < 12; ++cell)
        matrix.values.push_back(diverging ? (cell - 5.5) / 5.5 : cell / 11.0);
    matrix.values[5] = std::nan("");
    matrix.low = diverging ? -1.0 : 0.0;
    matrix.high = 1.0;
    matrix.diverging = diverging;
    matrix.valueName = QStringLiteral("Gini index");
    panel.matrix = matrix;
    Chart chart;
    chart.panels.push_back(panel);
    return chart;
}

} // namespace kvloupe
