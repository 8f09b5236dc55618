// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/figure/point_painter.h"

#include "views/figure/figure_fonts.h"

#include <QFontMetricsF>
#include <QPaintDevice>

#include <cmath>

namespace kvloupe {

namespace {

constexpr int metricsScale = 64; ///< metrics are taken at this many pixels per em, so that no device's rounding gets in

} // namespace

QFont figureFont(double points, bool isBold)
{
    QFont font;
    font.setFamilies(figureFontFamilies());
    font.setPointSizeF(points);
    font.setBold(isBold);
    font.setHintingPreference(QFont::PreferNoHinting);
    return font;
}

double figureTextWidth(const QString& text, double points, bool isBold)
{
    QFont font = figureFont(points, isBold);
    font.setPixelSize(metricsScale);
    return QFontMetricsF(font).horizontalAdvance(text) * points / metricsScale;
}

QColor mixColors(const QColor& from, const QColor& to, double share)
{
    const auto channel = [share](int a, int b) { return static_cast<int>(std::lround(a + (b - a) * share)); };
    return {channel(from.red(), to.red()), channel(from.green(), to.green()), channel(from.blue(), to.blue())};
}

PointPainter::PointPainter(QPaintDevice& device, double fontPoints, const FigureColors& colors, double lineScale)
    : m_painter(&device)
    , m_unit(device.logicalDpiX() / 72.0)
    , m_fontPoints(fontPoints)
    , m_colors(colors)
    , m_lineScale(lineScale)
{
    m_painter.setRenderHints(QPainter::Antialiasing | QPainter::TextAntialiasing | QPainter::LosslessImageRendering);
    m_painter.setRenderHint(QPainter::SmoothPixmapTransform, false);
}

QRectF PointPainter::scaled(const QRectF& rect) const
{
    return {rect.x() * m_unit, rect.y() * m_unit, rect.width() * m_unit, rect.height() * m_unit};
}

QPolygonF PointPainter::scaled(const QPolygonF& places) const
{
    QPolygonF result;
    result.reserve(places.size());
    for (const QPointF& place : places)
        result << place * m_unit;
    return result;
}

void PointPainter::pen(const QColor& color, double width, bool dashed)
{
    QPen pen(color, width * m_lineScale * m_unit, Qt::SolidLine, Qt::FlatCap, Qt::MiterJoin);
    if (dashed)
        pen.setDashPattern({4.0, 2.5});
    m_painter.setPen(pen);
}

void PointPainter::within(const QPointF& corner, const std::function<void()>& paint)
{
    m_painter.save();
    m_painter.translate(corner * m_unit);
    paint();
    m_painter.restore();
}

void PointPainter::fill(const QRectF& rect, const QColor& color)
{
    m_painter.fillRect(scaled(rect), color);
}

void PointPainter::fillSharp(const QRectF& rect, const QColor& color)
{
    m_painter.setRenderHint(QPainter::Antialiasing, false);
    m_painter.fillRect(scaled(rect), color);
    m_painter.setRenderHint(QPainter::Antialiasing, true);
}

void PointPainter::frame(const QRectF& rect, const QColor& color, double width)
{
    pen(color, width);
    m_painter.setBrush(Qt::NoBrush);
    m_painter.drawRect(scaled(rect));
}

void PointPainter::line(double x1, double y1, double x2, double y2, const QColor& color, double width, bool dashed)
{
    pen(color, width, dashed);
    m_painter.drawLine(QPointF(x1 * m_unit, y1 * m_unit), QPointF(x2 * m_unit, y2 * m_unit));
}

void PointPainter::polyline(const QPolygonF& places, const QColor& color, double width, bool dashed)
{
    pen(color, width, dashed);
    m_painter.setBrush(Qt::NoBrush);
    m_painter.drawPolyline(scaled(places));
}

void PointPainter::polygon(const QPolygonF& places, const QColor& inside, const QColor& outline, double width)
{
    if (width > 0.0)
        pen(outline, width);
    else
        m_painter.setPen(Qt::NoPen);
    m_painter.setBrush(inside);
    m_painter.drawPolygon(scaled(places));
}

void PointPainter::ellipse(
    const QPointF& centre, double radius, const QColor& inside, const QColor& outline, double width)
{
    pen(outline, width);
    m_painter.setBrush(inside);
    m_painter.drawEllipse(centre * m_unit, radius * m_unit, radius * m_unit);
}

void PointPainter::image(const QRectF& rect, const QImage& picture)
{
    m_painter.drawImage(scaled(rect), picture);
}

void PointPainter::text(double x, double baseline, const QString& words, double alignment, double size)
{
    text(x, baseline, words, alignment, size, m_colors.ink);
}

void PointPainter::text(
    double x, double baseline, const QString& words, double alignment, double size, const QColor& color)
{
    const double points = m_fontPoints * size;
    m_painter.setFont(figureFont(points));
    m_painter.setPen(color);
    m_painter.drawText(QPointF((x - alignment * figureTextWidth(words, points)) * m_unit, baseline * m_unit), words);
}

void PointPainter::boldText(double x, double baseline, const QString& words)
{
    m_painter.setFont(figureFont(m_fontPoints, true));
    m_painter.setPen(m_colors.ink);
    m_painter.drawText(QPointF(x, baseline) * m_unit, words);
}

void PointPainter::textUpwards(double x, double y, const QString& words, double alignment, double size)
{
    m_painter.save();
    m_painter.translate(x * m_unit, y * m_unit);
    m_painter.rotate(-90.0);
    text(0.0, 0.0, words, alignment, size);
    m_painter.restore();
}

} // namespace kvloupe
