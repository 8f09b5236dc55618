// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <QByteArray>
#include <QSizeF>
#include <QString>

#include <filesystem>
#include <functional>

class QPaintDevice;

namespace kvloupe {

enum class FigureFormat { Pdf, Svg, Png, Csv };
/// From the suffix of a file name. Throws FigureError for others.
FigureFormat figureFormat(const std::filesystem::path& path);

/// A figure that is ready to be painted.
struct FigurePage {
    QSizeF size; ///< points
    QString title;
    QString description; ///< where its numbers come from
    int dpi = 300; ///< of a PNG
    std::function<void(QPaintDevice&)> paint; ///< at the device's logical density
};

/// The page as a PDF, an SVG or a PNG. The same page gives the same bytes: no dates, no identifiers made up on the way.
/// Needs a QGuiApplication (fonts). Throws FigureError for a PNG that does not fit in memory.
QByteArray renderPage(const FigurePage& page, FigureFormat format);

/// Writes `bytes` through a temporary file and a rename. Throws FigureError naming the file and the cause.
void writeWhole(const std::filesystem::path& path, const QByteArray& bytes);

} // namespace kvloupe
