// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/chart/chart.h"
#include "views/chart/chart_layout.h"

#include <QWidget>

#include <optional>

namespace kvloupe {

/// A chart in a window, painted as its figure is, in the colours of the theme.
///
/// Points and cells answer to the mouse (tooltip, click) and to keys: left and right go along a line, up and down from
/// line to line, page up and down from panel to panel, Return chooses. What is current is the accessible description.
class ChartView final : public QWidget {
    Q_OBJECT

public:
    explicit ChartView(QWidget* parent = nullptr);

    /// Keeps what is current if there still is such a point.
    void setChart(Chart chart);
    const Chart& chart() const { return m_chart; }
    /// Shown where there are no panels.
    void setEmptyText(const QString& text);

    const std::optional<ChartTarget>& current() const { return m_current; }
    void setCurrent(std::optional<ChartTarget> target);
    /// Where a target is painted, in pixels of the widget.
    QPoint pixelOf(const ChartTarget& target) const;

    QSize sizeHint() const override;
    QSize minimumSizeHint() const override;
    int heightForWidth(int width) const override;

signals:
    void currentChanged();
    /// By a click or by Return.
    void chosen(const kvloupe::ChartTarget& target);

protected:
    bool event(QEvent* event) override;
    void changeEvent(QEvent* event) override;
    void paintEvent(QPaintEvent* event) override;
    void resizeEvent(QResizeEvent* event) override;
    void mouseMoveEvent(QMouseEvent* event) override;
    void mousePressEvent(QMouseEvent* event) override;
    void leaveEvent(QEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override;

private:
    double pointsPerPixel() const;
    ChartSize chartSize(int width, int height) const;
    void layOut();
    bool exists(const ChartTarget& target) const;
    std::optional<ChartTarget> targetAt(QPointF pixel) const;
    std::optional<ChartTarget> firstOf(int panel) const;
    std::optional<ChartTarget> afterKey(int key) const;
    void showCurrentText();

    Chart m_chart;
    ChartLayout m_layout;
    QString m_problem; ///< why there is no layout
    QString m_emptyText;
    std::optional<ChartTarget> m_current;
    std::optional<ChartTarget> m_hovered;
};

} // namespace kvloupe
