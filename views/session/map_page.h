// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/figure/figure_spec.h"
#include "views/heatmap/heat_map_view.h"
#include "views/session/view_models.h"

#include <QAction>
#include <QWidget>

namespace kvloupe {

class LostRows;
class MapComparison;
class MapGrid;
class MapToolBar;
class TimelineModel;

/// The attention map of the head in view with its tool bar, and what the methods keep of it.
class MapPage final : public QWidget {
    Q_OBJECT

public:
    /// `timeline` tells what is left at a decode step; it outlives the page.
    MapPage(const ViewModels& models, const TimelineModel* timeline, QWidget* parent = nullptr);

    HeatMapView* heatMap() const { return m_heatMap; }
    MapToolBar* toolBar() const { return m_toolBar; }
    MapComparison* comparison() const { return m_comparison; }
    MapGrid* grid() const { return m_grid; }
    /// Shades the columns that the method in front drops.
    QAction* shadeAction() const { return m_shade; }
    /// Shows beside the map what each query loses to the method in front.
    QAction* lostAction() const { return m_lostAction; }

    /// Describes the map, methods and colours on show.
    FigureSpec currentFigure() const;

private:
    void showSample();
    void showReplay();

    ViewModels m_models;
    const TimelineModel* m_timeline;
    HeatMapView* m_heatMap;
    MapToolBar* m_toolBar;
    MapComparison* m_comparison;
    MapGrid* m_grid;
    QAction* m_shade;
    QAction* m_lostAction;
    LostRows* m_lostRows;
};

} // namespace kvloupe
