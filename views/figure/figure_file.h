// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/figure/figure_table.h"

#include <QByteArray>
#include <QSizeF>
#include <QString>

#include <filesystem>
#include <functional>
#include <vector>

class QPaintDevice;

namespace kvloupe {

enum class FigureFormat { Pdf, Svg, Png, Csv, Tex };
/// From the suffix of a file name. Throws FigureError for others.
FigureFormat figureFormat(const std::filesystem::path& path);

/// A figure that is ready to be written.
struct FigurePage {
    QSizeF size; ///< points
    QString title;
    QString caption; ///< what a reader of a paper has to know, as sentences
    QString description; ///< where its numbers come from
    FigureTable table; ///< exactly what is shown
    int dpi = 300; ///< of a PNG
    std::function<void(QPaintDevice&)> paint; ///< at the device's logical density
};

/// The page as a file of that format. The same page gives the same bytes: no dates, no identifiers made up on the way.
/// `graphics`: what a LaTeX snippet includes. Needs a QGuiApplication (fonts). Throws FigureError for a PNG that does
/// not fit in memory.
QByteArray renderPage(
    const FigurePage& page, FigureFormat format, const std::filesystem::path& graphics = "figure.pdf");

/// Writes the page to every one of `outputs`, by their suffixes: all, or an exception. A LaTeX snippet includes the PDF
/// or PNG that is written with it, else the PDF of its own name.
void writePage(const FigurePage& page, const std::vector<std::filesystem::path>& outputs);

/// Writes `bytes` through a temporary file and a rename. Throws FigureError naming the file and the cause.
void writeWhole(const std::filesystem::path& path, const QByteArray& bytes);

} // namespace kvloupe
