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

namespace kvloupe {

class PointPainter;

/// The attention map of one head with axes, colour bar, sections of the prompt and one strip per method, as a figure.
///
/// Axes and text are vectors and text stays text; the map is one image at the figure's density, or up to 64 x 64 cells.
/// The same data give the same bytes: no dates, no identifiers made up on the way. Always on white. Needs a
/// QGuiApplication (fonts), on any platform plug-in.
class AttentionFigure {
public:
    explicit AttentionFigure(FigureData data);

    const FigureData& data() const { return m_data; }
    const FigureLayout& layout() const { return m_layout; }

    /// Paints from (0, 0) on, the map at the figure's density or, of few cells, as vectors.
    void paint(PointPainter& painter) const;
    /// Ready to be written; lives on its own.
    FigurePage page() const;
    /// The file as bytes.
    QByteArray render(FigureFormat format) const;
    /// Writes it whole or not at all. Throws FigureError naming the file and the cause.
    void save(const std::filesystem::path& path) const;
    /// What is to be seen, from which model, methods, budget and sample.
    QString caption() const;
    /// Where the numbers come from, with hashes.
    QString description() const;
    /// A line per cell of the causal triangle.
    FigureTable table() const;

    /// The map alone, pixels of figureMapPixels().
    QImage mapImage() const;

private:
    bool hasFewCells() const;
    void paintMap(PointPainter& painter) const;
    void paintStrip(PointPainter& painter, std::size_t index) const;

    FigureData m_data;
    FigureLayout m_layout;
};

} // namespace kvloupe
