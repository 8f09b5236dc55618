// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/figure/color_bar_painter.h"

#include "views/figure/point_painter.h"

#include <algorithm>

namespace kvloupe {

namespace {

constexpr double smallText = 0.85; ///< of ticks, relative to the font

double widest(const std::vector<FigureTick>& ticks, double font)
{
    double width = 0.0;
    for (const FigureTick& tick : ticks)
        width = std::max(width, figureTextWidth(tick.label, smallText * font));
    return width;
}

} // namespace

double colorBarMargin(const std::vector<FigureTick>& ticks, double font)
{
    return widest(ticks, font) + 2.2 * font;
}

void paintColorBar(PointPainter& painter, const QRectF& bar, const ColorKey& colors, double font)
{
    const QColor& ink = painter.colors().ink;
    const double step = bar.height() / static_cast<double>(colors.colors.size());
    double y = bar.bottom();
    for (const QColor& color : colors.colors) {
        y -= step;
        // A hair more than the step: viewers that smooth edges leave no light seams between neighbours.
        painter.fillSharp(QRectF(bar.left(), y, bar.width(), step + 0.3).intersected(bar), color);
    }
    painter.frame(bar, ink, 0.5);
    for (const FigureTick& tick : colors.ticks) {
        const double at = bar.bottom() - tick.place * bar.height();
        painter.line(bar.right(), at, bar.right() + 0.3 * font, at, ink, 0.5);
        painter.text(bar.right() + 0.5 * font, at + 0.3 * font, tick.label, 0.0, smallText);
    }
    painter.textUpwards(bar.right() + widest(colors.ticks, font) + 1.6 * font, bar.center().y(), colors.label, 0.5);
}

} // namespace kvloupe
