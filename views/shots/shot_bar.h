// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/shots/shots_model.h"

#include <QWidget>

#include <optional>

namespace kvloupe {

/// The prompt as a bar from left to right: shots with their borders above, below them a strip for every method that is
/// the darker the more heads keep a token; a shot that is broken in most heads has a dashed frame.
///
/// Borders are dragged with the mouse; Esc gives a drag up. Keys: up and down choose a border, left and right move it
/// by one token (Shift: ten).
class ShotBar final : public QWidget {
    Q_OBJECT

public:
    /// `model` outlives the bar.
    explicit ShotBar(ShotsModel* model, QWidget* parent = nullptr);

    /// Column of the left edge of a token, in widget coordinates.
    double xOf(std::int64_t token) const;
    std::int64_t tokenAt(double x) const;
    QSize sizeHint() const override;
    QSize minimumSizeHint() const override { return {200, sizeHint().height()}; }

signals:
    void editRequested(const std::vector<kvloupe::TokenRange>& shots, const QString& what);
    void shotClicked(int shot);

protected:
    void paintEvent(QPaintEvent* event) override;
    void mousePressEvent(QMouseEvent* event) override;
    void mouseMoveEvent(QMouseEvent* event) override;
    void mouseReleaseEvent(QMouseEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override;
    bool event(QEvent* event) override;

private:
    std::optional<ShotEdge> edgeNear(double x) const;
    const Shots& shotsOnShow() const;
    void paintShots(QPainter& painter) const;
    void paintMethod(QPainter& painter, const ShotsModel::Method& method, int top) const;
    int stripHeight() const;
    double left() const;

    ShotsModel* m_model;
    std::optional<ShotEdge> m_edge; ///< the keyboard's, or the one that is dragged
    std::optional<Shots> m_dragged; ///< as they would be if the mouse were released now
};

} // namespace kvloupe
