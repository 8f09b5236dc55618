// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/chart/chart_layout.h"
#include "views/figure/color_bar_painter.h"
#include "views/figure/figure_file.h"
#include "views/figure/point_painter.h"

#include <QByteArray>

#include <nlohmann/json_fwd.hpp>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace kvloupe {

class SpecFields;

/// Paints a chart: vectors and text only, cells of a matrix as rectangles.
void paintChart(PointPainter& painter, const Chart& chart, const ChartLayout& layout);

/// The colours of a matrix with these ticks.
ColorKey colorKeyOf(const ChartMatrix& matrix, const std::vector<double>& ticks);

/// A mark around `at`; a hollow one has the colour of the paper inside.
void paintChartMark(PointPainter& painter, ChartMark mark, QPointF at, double radius, const QColor& color, bool hollow);

/// Size and density of a chart as a figure.
struct ChartPage {
    double widthMm = 160.0;
    double heightMm = 0.0; ///< 0 = what the panels need
    double fontPoints = 8.0;
    int dpi = 300; ///< of a PNG
    int columns = 0; ///< panels side by side, 0 = as many as fit
};
/// Throws FigureError for sizes, fonts and densities that make no picture.
void checkChartPage(const ChartPage& page);

/// Reads "width", "height", "font", "dpi", "columns" and "title" of a SPEC and checks them.
void readChartPage(SpecFields& fields, ChartPage& page, std::optional<std::string>& title);

/// Adds "height", "columns" and "title" to a SPEC where they are not the default.
void writeChartPanel(const ChartPage& page, const std::optional<std::string>& title, nlohmann::ordered_json& object);

/// The chart as a file: the same chart and page give the same bytes. `description`: where its numbers come from. Needs
/// a QGuiApplication. Throws FigureError if it does not fit.
QByteArray renderChart(const Chart& chart, const ChartPage& page, const QString& description, FigureFormat format);
/// Writes it to every one of `outputs`, by their suffixes: all, or an exception.
void writeChart(const Chart& chart, const ChartPage& page, const QString& description,
    const std::vector<std::filesystem::path>& outputs);

} // namespace kvloupe
