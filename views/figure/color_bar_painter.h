// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/figure/figure_layout.h"

#include <QColor>
#include <QString>

#include <vector>

namespace kvloupe {

class PointPainter;

/// What colours stand for, from low at the bottom to high at the top.
struct ColorKey {
    std::vector<QColor> colors; ///< low to high, each the same share of the bar
    std::vector<FigureTick> ticks;
    QString label;
};

/// Paints vectors and text only: colours in `bar`, ticks right of it, then the label, reading upwards.
void paintColorBar(PointPainter& painter, const QRectF& bar, const ColorKey& colors, double font);
/// Room right of the bar itself for ticks and label, in points.
double colorBarMargin(const std::vector<FigureTick>& ticks, double font);

} // namespace kvloupe
