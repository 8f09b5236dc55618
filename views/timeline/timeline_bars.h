// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/selection/selection.h"
#include "views/timeline/timeline_model.h"

#include <QImage>
#include <QWidget>

namespace kvloupe {

/// Tokens from left to right, generated tokens from top to bottom: a bar from a token's birth to its death, paler where
/// a pixel stands for tokens of which some are gone or hidden. Right of it what the query of each step missed.
///
/// Mouse: a click chooses token and step, the wheel zooms, a drag moves, a double click shows all. Keys: left and right
/// token, up and down step, Home and End the first and last step.
class TimelineBars final : public QWidget {
    Q_OBJECT

public:
    /// `selection` and `model` outlive the widget.
    TimelineBars(Selection* selection, TimelineModel* model, QWidget* parent = nullptr);

    /// Middle of the cell of a token after `step` generated tokens, widget coordinates.
    QPointF pixelOf(std::int64_t token, std::int64_t step) const;
    /// Brings a token into view if it is not.
    void showToken(std::int64_t token);
    QSize sizeHint() const override { return {560, 180}; }
    QSize minimumSizeHint() const override { return {240, 100}; }

protected:
    void paintEvent(QPaintEvent* event) override;
    void resizeEvent(QResizeEvent* event) override;
    void changeEvent(QEvent* event) override;
    void mousePressEvent(QMouseEvent* event) override;
    void mouseMoveEvent(QMouseEvent* event) override;
    void mouseReleaseEvent(QMouseEvent* event) override;
    void mouseDoubleClickEvent(QMouseEvent* event) override;
    void wheelEvent(QWheelEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override;
    bool event(QEvent* event) override;

private:
    QRectF area() const; ///< of the bars
    QRectF lostArea() const;
    std::int64_t tokenAt(double x) const;
    std::int64_t stepAt(double y) const;
    void setView(double begin, double end);
    void choose(std::int64_t token, std::int64_t step);
    void paintMarks(QPainter& painter, const HeadLife& life) const;
    void paintLost(QPainter& painter, const HeadLife& life) const;
    void paintAxes(QPainter& painter, const HeadLife& life) const;

    Selection* m_selection;
    TimelineModel* m_model;
    double m_begin = 0.0; ///< tokens in view
    double m_end = 0.0;
    QImage m_image; ///< of what is in view; null = to be made
    QPointF m_pressed;
    double m_pressedBegin = 0.0;
    bool m_isDragging = false;
};

} // namespace kvloupe
