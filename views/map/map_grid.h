// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/session/view_models.h"

#include <QList>
#include <QWidget>

#include <vector>

class QAction;
class QGridLayout;

namespace kvloupe {

class HeatMapView;
class MapPane;
class TimelineModel;

/// The map in view and up to three pinned ones beside it. They pan and zoom together, and their cross-hairs stand at
/// the same cell; the tiles of all lie in one cache.
class MapGrid final : public QWidget {
    Q_OBJECT

public:
    /// Takes `active`, the map that follows the selection of the window.
    MapGrid(HeatMapView* active, const ViewModels& models, const TimelineModel* timeline, QWidget* parent = nullptr);

    /// 1, 2 or 4 maps; a new one begins at the head in view.
    void setCount(int count);
    int count() const { return 1 + static_cast<int>(m_panes.size()); }
    const std::vector<MapPane*>& panes() const { return m_panes; }
    /// Another sample is in view, or the same with other spans: pinned maps of the window's recording follow.
    void showSample();

    /// For menus: one, two, four maps, and whether all have the colour range of the map in view.
    const QList<QAction*>& menuActions() const { return m_actions; }

signals:
    void failed(const QString& message);

private:
    void addPane();
    void followWindow(const HeatMapView* moved);
    void applyStyle();
    void swap(MapPane* pane);

    HeatMapView* m_active;
    ViewModels m_models;
    const TimelineModel* m_timeline;
    QGridLayout* m_layout;
    std::vector<MapPane*> m_panes;
    QList<QAction*> m_actions;
    QAction* m_sharedRange;
    bool m_isFollowing = false;
};

} // namespace kvloupe
