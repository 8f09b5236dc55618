// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/chart/chart_view.h"

#include "views/chart/chart_painter.h"
#include "views/figure/figure_spec.h"

#include <QEvent>
#include <QHelpEvent>
#include <QKeyEvent>
#include <QMouseEvent>
#include <QTextDocument>
#include <QToolTip>

#include <algorithm>
#include <cmath>

namespace kvloupe {

namespace {

constexpr double hitRadius = 7.0; ///< points
constexpr qsizetype widestTooltip = 100; ///< characters

/// Tooltips of plain text do not break their lines; those of rich text do.
QString tooltipText(const QString& text)
{
    const QStringList lines = text.split(QLatin1Char('\n'));
    const bool isWide = std::ranges::any_of(lines, [](const QString& line) { return line.size() > widestTooltip; });
    return isWide ? Qt::convertFromPlainText(text, Qt::WhiteSpaceNormal) : text;
}

int clampedStep(int value, int step, int count)
{
    return std::clamp(value + step, 0, count - 1);
}

} // namespace

ChartView::ChartView(QWidget* parent)
    : QWidget(parent)
{
    setFocusPolicy(Qt::StrongFocus);
    setMouseTracking(true);
    QSizePolicy policy(QSizePolicy::Expanding, QSizePolicy::Expanding);
    policy.setHeightForWidth(true);
    setSizePolicy(policy);
    setAccessibleName(tr("Chart"));
}

void ChartView::setChart(Chart chart)
{
    m_chart = std::move(chart);
    m_hovered.reset();
    layOut();
    if (m_current && !exists(*m_current))
        setCurrent(std::nullopt);
    updateGeometry();
    update();
}

void ChartView::setEmptyText(const QString& text)
{
    m_emptyText = text;
    update();
}

bool ChartView::exists(const ChartTarget& target) const
{
    if (target.panel < 0 || target.panel >= static_cast<int>(m_chart.panels.size()))
        return false;
    const ChartPanel& panel = m_chart.panels[static_cast<std::size_t>(target.panel)];
    if (panel.matrix)
        return target.series < 0 && target.row < panel.matrix->rows && target.column < panel.matrix->columns;
    return target.series >= 0 && target.series < static_cast<int>(panel.series.size())
        && target.point < static_cast<int>(panel.series[static_cast<std::size_t>(target.series)].points.size());
}

void ChartView::setCurrent(std::optional<ChartTarget> target)
{
    if (target && !exists(*target))
        target.reset();
    if (target == m_current)
        return;
    m_current = target;
    setAccessibleDescription(m_current ? targetText(m_chart, *m_current) : QString());
    update();
    emit currentChanged();
}

double ChartView::pointsPerPixel() const
{
    return 72.0 / logicalDpiX();
}

ChartSize ChartView::chartSize(int width, int height) const
{
    const QFont ours = font();
    const double points = ours.pointSizeF() > 0.0 ? ours.pointSizeF() : ours.pixelSize() * pointsPerPixel();
    return {width * pointsPerPixel(), height * pointsPerPixel(), points, 0};
}

void ChartView::layOut()
{
    m_problem.clear();
    try {
        m_layout = layOutChart(m_chart, chartSize(width(), std::max(height(), heightForWidth(width()))));
    } catch (const FigureError&) {
        m_layout = {};
        m_problem = tr("This window is too small for the chart");
    }
}

QPoint ChartView::pixelOf(const ChartTarget& target) const
{
    if (!m_problem.isEmpty() || !exists(target))
        return {};
    return (placeOfTarget(m_chart, m_layout, target) / pointsPerPixel()).toPoint();
}

QSize ChartView::sizeHint() const
{
    return {700, 420};
}

QSize ChartView::minimumSizeHint() const
{
    return {240, 160};
}

int ChartView::heightForWidth(int width) const
{
    try {
        ChartSize size = chartSize(width, 0);
        return static_cast<int>(std::ceil(layOutChart(m_chart, size).leastHeight / pointsPerPixel()));
    } catch (const FigureError&) {
        return minimumSizeHint().height();
    }
}

void ChartView::resizeEvent(QResizeEvent* event)
{
    QWidget::resizeEvent(event);
    layOut();
}

void ChartView::changeEvent(QEvent* event)
{
    QWidget::changeEvent(event);
    if (event->type() == QEvent::FontChange || event->type() == QEvent::StyleChange) {
        layOut();
        updateGeometry();
    }
    if (event->type() == QEvent::PaletteChange || event->type() == QEvent::FontChange)
        update();
}

void ChartView::paintEvent(QPaintEvent*)
{
    FigureColors colors;
    colors.ink = palette().color(QPalette::Text);
    colors.paper = palette().color(QPalette::Base);
    colors.paleInk = mixColors(colors.ink, colors.paper, 0.35);
    PointPainter painter(*this, m_layout.font, colors);
    const double unit = pointsPerPixel();
    if (!m_problem.isEmpty() || m_chart.panels.empty()) {
        painter.fill(QRectF(0.0, 0.0, width() * unit, height() * unit), colors.paper);
        painter.text(0.5 * width() * unit, 0.5 * height() * unit, m_problem.isEmpty() ? m_emptyText : m_problem, 0.5,
            1.0, colors.paleInk);
        return;
    }
    paintChart(painter, m_chart, m_layout);
    const auto ring = [&](const ChartTarget& target, double width) {
        const ChartPanel& panel = m_chart.panels[static_cast<std::size_t>(target.panel)];
        const PanelLayout& at = m_layout.panels[static_cast<std::size_t>(target.panel)];
        if (panel.matrix) {
            // Two tones, visible on any colour.
            const QRectF cell = placeOfCell(panel, at, target.row, target.column);
            painter.frame(cell.adjusted(-width, -width, width, width), colors.paper, width);
            painter.frame(cell, colors.ink, width);
            return;
        }
        painter.ellipse(
            placeOfTarget(m_chart, m_layout, target), 0.62 * m_layout.font, Qt::transparent, colors.ink, width);
    };
    if (m_hovered)
        ring(*m_hovered, 0.6);
    if (m_current)
        ring(*m_current, 1.2);
    if (hasFocus() && m_current)
        painter.frame(m_layout.panels[static_cast<std::size_t>(m_current->panel)].cell.adjusted(1.0, 0.0, -1.0, -1.0),
            palette().color(QPalette::Highlight), 1.0);
}

std::optional<ChartTarget> ChartView::targetAt(QPointF pixel) const
{
    if (!m_problem.isEmpty())
        return std::nullopt;
    return chartTargetAt(m_chart, m_layout, pixel * pointsPerPixel(), hitRadius);
}

bool ChartView::event(QEvent* event)
{
    if (event->type() == QEvent::ToolTip) {
        const auto* help = static_cast<QHelpEvent*>(event);
        if (const auto target = targetAt(help->pos()))
            QToolTip::showText(help->globalPos(), tooltipText(targetText(m_chart, *target)), this);
        else
            QToolTip::hideText();
        return true;
    }
    if (event->type() == QEvent::FocusIn || event->type() == QEvent::FocusOut)
        update();
    return QWidget::event(event);
}

void ChartView::mouseMoveEvent(QMouseEvent* event)
{
    const auto target = targetAt(event->position());
    if (target == m_hovered)
        return;
    m_hovered = target;
    setCursor(target ? Qt::PointingHandCursor : Qt::ArrowCursor);
    update();
}

void ChartView::leaveEvent(QEvent* event)
{
    QWidget::leaveEvent(event);
    m_hovered.reset();
    update();
}

void ChartView::mousePressEvent(QMouseEvent* event)
{
    if (event->button() != Qt::LeftButton)
        return QWidget::mousePressEvent(event);
    if (const auto target = targetAt(event->position())) {
        setCurrent(target);
        emit chosen(*target);
    }
}

std::optional<ChartTarget> ChartView::firstOf(int panel) const
{
    if (panel < 0 || panel >= static_cast<int>(m_chart.panels.size()))
        return std::nullopt;
    const ChartPanel& of = m_chart.panels[static_cast<std::size_t>(panel)];
    if (of.matrix)
        return of.matrix->values.empty() ? std::nullopt : std::optional(ChartTarget{panel, -1, -1, 0, 0});
    for (std::size_t series = 0; series < of.series.size(); ++series)
        if (!of.series[series].points.empty())
            return ChartTarget{panel, static_cast<int>(series), 0, -1, -1};
    return std::nullopt;
}

std::optional<ChartTarget> ChartView::afterKey(int key) const
{
    if (!m_current)
        return firstOf(0);
    ChartTarget next = *m_current;
    if (key == Qt::Key_PageDown || key == Qt::Key_PageUp) {
        const int step = key == Qt::Key_PageDown ? 1 : -1;
        for (int panel = next.panel + step; panel >= 0 && panel < static_cast<int>(m_chart.panels.size());
             panel += step)
            if (const auto first = firstOf(panel))
                return first;
        return next;
    }
    const ChartPanel& panel = m_chart.panels[static_cast<std::size_t>(next.panel)];
    const int across = key == Qt::Key_Right ? 1 : key == Qt::Key_Left ? -1 : 0;
    const int down = key == Qt::Key_Down ? 1 : key == Qt::Key_Up ? -1 : 0;
    if (panel.matrix) {
        next.column = clampedStep(next.column, across, panel.matrix->columns);
        next.row = clampedStep(next.row, down, panel.matrix->rows);
        if (key == Qt::Key_Home)
            next.column = 0;
        if (key == Qt::Key_End)
            next.column = panel.matrix->columns - 1;
        return next;
    }
    const auto pointsOf = [&](int series) -> const std::vector<ChartPoint>& {
        return panel.series[static_cast<std::size_t>(series)].points;
    };
    const auto count = [&](int series) { return static_cast<int>(pointsOf(series).size()); };
    if (across != 0)
        next.point = clampedStep(next.point, panel.x.reversed ? -across : across, count(next.series));
    if (down != 0) {
        for (int series = next.series + down; series >= 0 && series < static_cast<int>(panel.series.size());
             series += down) {
            if (pointsOf(series).empty())
                continue;
            // The point above or below: the one nearest in x.
            const double x = pointsOf(next.series)[static_cast<std::size_t>(next.point)].x;
            const auto nearest = std::ranges::min_element(
                pointsOf(series), {}, [x](const ChartPoint& point) { return std::abs(point.x - x); });
            next.series = series;
            next.point = static_cast<int>(nearest - pointsOf(series).begin());
            break;
        }
    }
    if (key == Qt::Key_Home || key == Qt::Key_End)
        next.point = (key == Qt::Key_Home) != panel.x.reversed ? 0 : count(next.series) - 1;
    return next;
}

void ChartView::showCurrentText()
{
    if (m_current)
        QToolTip::showText(
            mapToGlobal(pixelOf(*m_current) + QPoint(8, 8)), tooltipText(targetText(m_chart, *m_current)), this);
}

void ChartView::keyPressEvent(QKeyEvent* event)
{
    switch (event->key()) {
    case Qt::Key_Left:
    case Qt::Key_Right:
    case Qt::Key_Up:
    case Qt::Key_Down:
    case Qt::Key_Home:
    case Qt::Key_End:
    case Qt::Key_PageUp:
    case Qt::Key_PageDown:
        setCurrent(afterKey(event->key()));
        showCurrentText();
        return;
    case Qt::Key_Return:
    case Qt::Key_Enter:
    case Qt::Key_Space:
        if (m_current) {
            emit chosen(*m_current);
            return;
        }
        break;
    case Qt::Key_Escape:
        if (m_current) {
            setCurrent(std::nullopt);
            QToolTip::hideText();
            return;
        }
        break;
    default:
        break;
    }
    QWidget::keyPressEvent(event);
}

} // namespace kvloupe
