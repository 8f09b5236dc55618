// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/figure/figure_data.h"

#include <QRectF>
#include <QSize>
#include <QString>

#include <vector>

namespace kvloupe {

/// A named stretch of the prompt along an axis of the map.
struct FigureSection {
    std::int64_t begin = 0;
    std::int64_t end = 0;
    QString name;
    int shot = -1;
};

/// A mark on an axis: at a place in [0, 1] of its length.
struct FigureTick {
    double place = 0.0;
    QString label;
};

/// Where everything of a figure lies, in points (1/72 inch) from the top left corner.
struct FigureLayout {
    QSizeF page;
    QRectF map;
    QRectF colorBar; ///< empty if the figure has none
    std::vector<QRectF> strips; ///< one per method
    QRectF keySections; ///< empty without sections
    QRectF querySections;
    double titleBaseline = 0.0; ///< 0 = no title
    double keyLabelBaseline = 0.0;
    double queryLabelCentre = 0.0; ///< x of the rotated label
    bool keyTokens = false; ///< token text along the keys
    bool queryTokens = false;
    std::vector<FigureTick> keyTicks;
    std::vector<FigureTick> queryTicks;
    std::vector<FigureTick> colorTicks;
    std::vector<FigureSection> sections;
    QString title;
};

/// Needs no cells: where the map lies decides how fine they must be. Throws FigureError if the page is too small for
/// its text.
FigureLayout layOutFigure(const FigureData& data);
/// Pixels of the map at the figure's density.
QSize figureMapPixels(const FigureData& data);

/// Marks of a colour bar `length` points long.
std::vector<FigureTick> valueTicks(const ColorTable& table, double length, double font);

/// "213 of 712" for a strip.
QString keptText(const FigureStrip& strip, const FigureData& data);

} // namespace kvloupe
