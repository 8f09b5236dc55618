// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/figure/figure_data.h"
#include "views/figure/figure_file.h"
#include "views/figure/figure_layout.h"

#include <QByteArray>
#include <QImage>
#include <QString>

#include <filesystem>
#include <optional>

class QPainter;
class QPaintDevice;

namespace kvloupe {

/// The attention map of one head with axes, colour bar, sections of the prompt and one strip per method, as a figure.
///
/// Axes and text are vectors and text stays text; the map is one image at the figure's density. The same data give the
/// same bytes: no dates, no identifiers made up on the way. Always on white. Needs a QGuiApplication (fonts), on any
/// platform plug-in.
class AttentionFigure {
public:
    explicit AttentionFigure(FigureData data);

    const FigureData& data() const { return m_data; }
    const FigureLayout& layout() const { return m_layout; }

    /// Paints at the device's logical density, the map at the figure's.
    void paint(QPaintDevice& device) const;
    /// The file as bytes.
    QByteArray render(FigureFormat format) const;
    /// Writes it whole or not at all. Throws FigureError naming the file and the cause.
    void save(const std::filesystem::path& path) const;

    /// The map alone, pixels of figureMapPixels().
    QImage mapImage() const;

private:
    QByteArray renderCsv() const;
    QString description() const;

    FigureData m_data;
    FigureLayout m_layout;
};

} // namespace kvloupe
