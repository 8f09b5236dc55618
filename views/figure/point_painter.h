// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <QColor>
#include <QFont>
#include <QImage>
#include <QPainter>
#include <QPointF>
#include <QPolygonF>
#include <QRectF>
#include <QString>

#include <functional>

class QPaintDevice;

namespace kvloupe {

inline constexpr double pointsPerMillimetre = 72.0 / 25.4;

QFont figureFont(double points, bool isBold = false);
/// Width of a text in points, the same on every device.
double figureTextWidth(const QString& text, double points, bool isBold = false);

/// Colours of text and ground: a figure's are those of paper, a window's those of its theme.
struct FigureColors {
    QColor ink{0x20, 0x20, 0x20};
    QColor paleInk{0x70, 0x70, 0x70};
    QColor paper{0xFF, 0xFF, 0xFF};
};

/// `share` of the way from one colour to another, channel by channel.
QColor mixColors(const QColor& from, const QColor& to, double share);

/// A painter whose coordinates are points (1/72 inch) from the top left corner, on devices of any density.
class PointPainter {
public:
    /// Line widths are multiplied by `lineScale`.
    PointPainter(QPaintDevice& device, double fontPoints, const FigureColors& colors = {}, double lineScale = 1.0);

    const FigureColors& colors() const { return m_colors; }

    /// Calls `paint` with (0, 0) at `corner`.
    void within(const QPointF& corner, const std::function<void()>& paint);

    void fill(const QRectF& rect, const QColor& color);
    /// Without smoothed edges, so that rectangles side by side leave no gap.
    void fillSharp(const QRectF& rect, const QColor& color);
    void frame(const QRectF& rect, const QColor& color, double width);
    void line(double x1, double y1, double x2, double y2, const QColor& color, double width, bool dashed = false);
    void polyline(const QPolygonF& places, const QColor& color, double width, bool dashed = false);
    /// Filled, with an outline if `width` is not 0.
    void polygon(const QPolygonF& places, const QColor& inside, const QColor& outline = {}, double width = 0.0);
    void ellipse(const QPointF& centre, double radius, const QColor& inside, const QColor& outline, double width);
    void image(const QRectF& rect, const QImage& picture);

    /// `alignment` 0 = left, 0.5 = centred, 1 = right of (x, baseline); `size` relative to the font of the figure.
    void text(double x, double baseline, const QString& words, double alignment, double size = 1.0);
    void text(double x, double baseline, const QString& words, double alignment, double size, const QColor& color);
    /// In bold, from (x, baseline) on.
    void boldText(double x, double baseline, const QString& words);
    /// The same, reading upwards, (x, y) on its baseline.
    void textUpwards(double x, double y, const QString& words, double alignment, double size = 1.0);

private:
    QRectF scaled(const QRectF& rect) const;
    QPolygonF scaled(const QPolygonF& places) const;
    void pen(const QColor& color, double width, bool dashed = false);

    QPainter m_painter;
    double m_unit; ///< device units per point
    double m_fontPoints;
    FigureColors m_colors;
    double m_lineScale;
};

} // namespace kvloupe
