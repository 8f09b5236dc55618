// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/chart/chart_painter.h"

#include "views/chart/chart_panel.h"
#include "views/figure/figure_spec.h"
#include "views/figure/spec_fields.h"

#include <QPolygonF>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace kvloupe {

namespace {

/// Paints one panel; lengths are in points.
class PanelPainter {
public:
    PanelPainter(PointPainter& painter, const ChartPanel& panel, const PanelLayout& at, double font)
        : m_painter(painter)
        , m_panel(panel)
        , m_at(at)
        , m_font(font)
    {
    }

    void paint()
    {
        const FigureColors& colors = m_painter.colors();
        if (!m_panel.source.isEmpty())
            m_painter.fill(m_at.cell.adjusted(0.2 * m_font, 0.0, -0.2 * m_font, -0.2 * m_font),
                mixColors(colors.paper, colors.ink, 0.06));
        for (qsizetype line = 0; line < m_at.title.size(); ++line)
            m_painter.text(m_at.plot.left(), m_at.titleBaseline + 1.25 * m_font * static_cast<double>(line),
                m_at.title[line], 0.0);
        if (!m_at.source.isEmpty())
            m_painter.text(m_at.plot.left(), m_at.sourceBaseline, m_at.source, 0.0, chartSmallText, colors.paleInk);
        if (m_panel.matrix)
            paintMatrix();
        else
            paintLines();
        m_painter.frame(m_at.plot, colors.ink, 0.5);
        paintLabels();
    }

private:
    void paintMatrix()
    {
        const ChartMatrix& matrix = *m_panel.matrix;
        const QColor none = mixColors(m_painter.colors().paper, m_painter.colors().ink, 0.15);
        for (int row = 0; row < matrix.rows; ++row) {
            for (int column = 0; column < matrix.columns; ++column) {
                // A hair more than the cell: viewers that smooth edges leave no light seams between neighbours.
                QRectF cell = placeOfCell(m_panel, m_at, row, column).adjusted(0.0, 0.0, 0.3, 0.3);
                m_painter.fillSharp(
                    cell.intersected(m_at.plot), matrixColor(matrix, matrix.at(row, column)).value_or(none));
            }
        }
        if (matrix.showsValues)
            paintValues();
        if (matrix.showsColorBar)
            paintColorBar(m_painter, m_at.colorBar, colorKeyOf(matrix, m_at.colorTicks), m_font);
    }

    void paintValues()
    {
        const ChartMatrix& matrix = *m_panel.matrix;
        const QRectF cell = placeOfCell(m_panel, m_at, 0, 0);
        const double size = std::min(chartSmallText, 0.6 * cell.height() / m_font);
        if (size < 0.4 || figureTextWidth(QStringLiteral("0.00"), size * m_font) > 0.9 * cell.width())
            return;
        for (int row = 0; row < matrix.rows; ++row) {
            for (int column = 0; column < matrix.columns; ++column) {
                const double value = matrix.at(row, column);
                const auto ground = matrixColor(matrix, value);
                if (!ground)
                    continue;
                const QPointF centre = placeOfCell(m_panel, m_at, row, column).center();
                m_painter.text(centre.x(), centre.y() + 0.35 * size * m_font, QString::number(value, 'f', 2), 0.5, size,
                    qGray(ground->rgb()) > 128 ? QColor(Qt::black) : QColor(Qt::white));
            }
        }
    }

    QPointF place(std::size_t series, double x, double y) const
    {
        return placeOfPoint(m_panel, m_at, m_font, series, x, std::clamp(y, m_panel.y.low, m_panel.y.high));
    }

    void paintLines()
    {
        const FigureColors& colors = m_painter.colors();
        const QColor grid = mixColors(colors.paper, colors.ink, 0.12);
        for (const double tick : m_at.yTicks) {
            const double y = placeOfY(m_panel, m_at, tick);
            m_painter.line(m_at.plot.left(), y, m_at.plot.right(), y, grid, 0.4);
        }
        for (const ChartReference& reference : m_panel.references) {
            const double y = placeOfY(m_panel, m_at, reference.y);
            m_painter.line(m_at.plot.left(), y, m_at.plot.right(), y, colors.paleInk, 0.8);
        }
        for (std::size_t index = 0; index < m_panel.series.size(); ++index)
            if (m_panel.series[index].band)
                paintBand(index);
        for (std::size_t index = 0; index < m_panel.series.size(); ++index)
            paintLine(index);
    }

    void paintBand(std::size_t index)
    {
        const ChartSeries& series = m_panel.series[index];
        QPolygonF outline;
        QPolygonF back;
        for (const ChartPoint& point : series.points) {
            if (!point.interval)
                continue;
            outline << place(index, point.x, point.interval->high);
            back.prepend(place(index, point.x, point.interval->low));
        }
        QColor color = series.color;
        color.setAlphaF(0.22F);
        if (outline.size() > 1)
            m_painter.polygon(outline + back, color);
    }

    void paintLine(std::size_t index)
    {
        const ChartSeries& series = m_panel.series[index];
        QPolygonF line;
        for (const ChartPoint& point : series.points)
            line << place(index, point.x, point.y);
        if (!series.band) {
            const double cap = 0.15 * m_font;
            // Paler than the line, so that many intervals do not hide it.
            const QColor pale = mixColors(series.color, m_painter.colors().paper, 0.4);
            for (const ChartPoint& point : series.points) {
                if (!point.interval)
                    continue;
                const QPointF low = place(index, point.x, point.interval->low);
                const QPointF high = place(index, point.x, point.interval->high);
                m_painter.line(low.x(), low.y(), high.x(), high.y(), pale, 0.6);
                m_painter.line(low.x() - cap, low.y(), low.x() + cap, low.y(), pale, 0.6);
                m_painter.line(high.x() - cap, high.y(), high.x() + cap, high.y(), pale, 0.6);
            }
        }
        if (line.size() > 1)
            m_painter.polyline(line, series.color, 1.0, series.dashed);
        for (const QPointF& centre : line)
            paintChartMark(m_painter, series.mark, centre, 0.3 * m_font, series.color, series.dashed);
    }

    void paintLabels()
    {
        const QColor& ink = m_painter.colors().ink;
        const double tickLength = 0.3 * m_font;
        for (const double tick : m_at.xTicks) {
            const double x = m_panel.matrix ? placeOfCell(m_panel, m_at, 0, static_cast<int>(tick)).center().x()
                                            : placeOfX(m_panel, m_at, tick);
            m_painter.line(x, m_at.plot.bottom(), x, m_at.plot.bottom() + tickLength, ink, 0.5);
            if (m_panel.matrix && !m_panel.matrix->columnNames.isEmpty()) {
                m_painter.textUpwards(
                    x + 0.3 * m_font, m_at.plot.bottom() + 0.5 * m_font, xLabel(tick), 1.0, chartSmallText);
                continue;
            }
            m_painter.text(
                x, m_at.plot.bottom() + 0.5 * m_font + chartSmallText * m_font, xLabel(tick), 0.5, chartSmallText);
        }
        for (const double tick : m_at.yTicks) {
            const double y = m_panel.matrix ? placeOfCell(m_panel, m_at, static_cast<int>(tick), 0).center().y()
                                            : placeOfY(m_panel, m_at, tick);
            m_painter.line(m_at.plot.left() - tickLength, y, m_at.plot.left(), y, ink, 0.5);
            m_painter.text(m_at.plot.left() - 0.5 * m_font, y + 0.3 * m_font, yLabel(tick), 1.0, chartSmallText);
        }
        if (m_at.showsXLabel)
            m_painter.text(m_at.plot.center().x(), m_at.xLabelBaseline, m_panel.x.label, 0.5);
        if (m_at.showsYLabel)
            m_painter.textUpwards(m_at.yLabelRight, m_at.plot.center().y(), m_panel.y.label, 0.5);
    }

    QString xLabel(double tick) const
    {
        return m_panel.matrix ? m_panel.matrix->columnName(static_cast<int>(tick)) : tickLabel(tick, m_at.xTicks);
    }
    QString yLabel(double tick) const
    {
        return m_panel.matrix ? m_panel.matrix->rowName(static_cast<int>(tick)) : tickLabel(tick, m_at.yTicks);
    }

    PointPainter& m_painter;
    const ChartPanel& m_panel;
    const PanelLayout& m_at;
    double m_font;
};

} // namespace

ColorKey colorKeyOf(const ChartMatrix& matrix, const std::vector<double>& ticks)
{
    constexpr int steps = 64;
    ColorKey bar;
    bar.label = matrix.valueName;
    for (int index = 0; index < steps; ++index)
        bar.colors.push_back(*matrixColor(matrix, matrix.low + (index + 0.5) / steps * (matrix.high - matrix.low)));
    for (const double tick : ticks)
        bar.ticks.push_back({(tick - matrix.low) / (matrix.high - matrix.low), tickLabel(tick, ticks)});
    return bar;
}

void paintChartMark(PointPainter& painter, ChartMark mark, QPointF at, double radius, const QColor& color, bool hollow)
{
    const QColor inside = hollow ? painter.colors().paper : color;
    const double width = 0.8;
    const auto polygon = [&](std::initializer_list<QPointF> corners) {
        QPolygonF places;
        for (const QPointF& corner : corners)
            places << at + corner * radius;
        painter.polygon(places, inside, color, width);
    };
    switch (mark) {
    case ChartMark::None:
        break;
    case ChartMark::Circle:
        painter.ellipse(at, radius, inside, color, width);
        break;
    case ChartMark::Square:
        polygon({{-0.9, -0.9}, {0.9, -0.9}, {0.9, 0.9}, {-0.9, 0.9}});
        break;
    case ChartMark::Triangle:
        polygon({{0.0, -1.15}, {1.1, 0.85}, {-1.1, 0.85}});
        break;
    case ChartMark::TriangleDown:
        polygon({{0.0, 1.15}, {1.1, -0.85}, {-1.1, -0.85}});
        break;
    case ChartMark::Diamond:
        polygon({{0.0, -1.25}, {1.05, 0.0}, {0.0, 1.25}, {-1.05, 0.0}});
        break;
    case ChartMark::Cross:
        painter.line(at.x() - radius, at.y() - radius, at.x() + radius, at.y() + radius, color, 1.3);
        painter.line(at.x() - radius, at.y() + radius, at.x() + radius, at.y() - radius, color, 1.3);
        break;
    case ChartMark::Plus:
        painter.line(at.x() - 1.2 * radius, at.y(), at.x() + 1.2 * radius, at.y(), color, 1.3);
        painter.line(at.x(), at.y() - 1.2 * radius, at.x(), at.y() + 1.2 * radius, color, 1.3);
        break;
    }
}

void paintChart(PointPainter& painter, const Chart& chart, const ChartLayout& layout)
{
    const double font = layout.font;
    painter.fill(QRectF(QPointF(), layout.page), painter.colors().paper);
    for (qsizetype line = 0; line < layout.titleLines.size(); ++line)
        painter.text(
            0.5 * font, layout.titleBaseline + 1.3 * font * static_cast<double>(line), layout.titleLines[line], 0.0);
    for (const LegendEntry& entry : layout.legend) {
        const QPointF middle = entry.place + QPointF(1.1 * font, -0.32 * font);
        painter.line(
            entry.place.x(), middle.y(), entry.place.x() + 2.2 * font, middle.y(), entry.color, 1.0, entry.dashed);
        paintChartMark(painter, entry.mark, middle, 0.3 * font, entry.color, entry.dashed);
        painter.text(entry.place.x() + 2.7 * font, entry.place.y(), entry.name, 0.0);
    }
    for (std::size_t index = 0; index < chart.panels.size(); ++index)
        PanelPainter(painter, chart.panels[index], layout.panels[index], font).paint();
    for (qsizetype line = 0; line < layout.noteLines.size(); ++line)
        painter.text(0.5 * font, layout.noteBaseline + 1.3 * chartSmallText * font * static_cast<double>(line),
            layout.noteLines[line], 0.0, chartSmallText, painter.colors().paleInk);
}

void checkChartPage(const ChartPage& page)
{
    FigureSpec sizes;
    sizes.widthMm = page.widthMm;
    sizes.heightMm = page.heightMm;
    sizes.fontPoints = page.fontPoints;
    sizes.dpi = page.dpi;
    checkFigureSpec(sizes);
    if (page.columns < 0 || page.columns > 100)
        throw FigureError(fmt::format("columns: found {}, expected 1 to 100", page.columns));
}

void readChartPage(SpecFields& fields, ChartPage& page, std::optional<std::string>& title)
{
    fields.real("width", page.widthMm);
    fields.real("height", page.heightMm);
    fields.real("font", page.fontPoints);
    fields.integer("dpi", page.dpi);
    fields.integer("columns", page.columns);
    fields.text("title", title);
    checkChartPage(page);
}

void writeChartPanel(const ChartPage& page, const std::optional<std::string>& title, nlohmann::ordered_json& object)
{
    if (page.heightMm > 0.0)
        object["height"] = page.heightMm;
    if (page.columns > 0)
        object["columns"] = page.columns;
    if (title)
        object["title"] = *title;
}

QByteArray renderChart(const Chart& chart, const ChartPage& page, const QString& description, FigureFormat format)
{
    checkChartPage(page);
    return renderPage(pageOf(ChartPanelData(chart, page, description), frameOf(page)), format);
}

void writeChart(const Chart& chart, const ChartPage& page, const QString& description,
    const std::vector<std::filesystem::path>& outputs)
{
    checkChartPage(page);
    writePage(pageOf(ChartPanelData(chart, page, description), frameOf(page)), outputs);
}

} // namespace kvloupe
