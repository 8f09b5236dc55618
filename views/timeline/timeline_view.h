// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/session/view_models.h"
#include "views/timeline/timeline_model.h"

#include <QTimer>
#include <QWidget>

class QAction;
class QLabel;
class QSpinBox;

namespace kvloupe {

class TimelineBars;

/// The cache after the prompt and after every generated token: birth-to-death bars, play and step, and jumps to where
/// the token in view died and to the later query that wanted it most.
class TimelineView final : public QWidget {
    Q_OBJECT

public:
    /// `model` outlives the view.
    TimelineView(const ViewModels& models, TimelineModel* model, QWidget* parent = nullptr);

    TimelineBars* bars() const { return m_bars; }
    bool isPlaying() const { return m_play.isActive(); }
    void setPlaying(bool playing);
    QString stepLine() const;
    QString tokenLine() const;
    QSize sizeHint() const override { return {560, 240}; }

protected:
    void showEvent(QShowEvent* event) override;
    void hideEvent(QHideEvent* event) override;

private:
    void refresh();
    void jumpTo(std::int64_t step);
    std::int64_t deathStep() const; ///< of the token in view, -1 = none
    std::int64_t wantedStep() const;

    ViewModels m_models;
    TimelineModel* m_model;
    TimelineBars* m_bars;
    QSpinBox* m_step;
    QLabel* m_stepLine;
    QLabel* m_tokenLine;
    QAction* m_playAction = nullptr;
    QAction* m_death = nullptr;
    QAction* m_wanted = nullptr;
    QTimer m_play;
};

} // namespace kvloupe
