// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/map/map_grid.h"

#include "views/heatmap/heat_map_view.h"
#include "views/map/map_pane.h"

#include <QAction>
#include <QActionGroup>
#include <QGridLayout>

#include <algorithm>
#include <array>
#include <utility>

namespace kvloupe {

MapGrid::MapGrid(HeatMapView* active, const ViewModels& models, const TimelineModel* timeline, QWidget* parent)
    : QWidget(parent)
    , m_active(active)
    , m_models(models)
    , m_timeline(timeline)
    , m_layout(new QGridLayout(this))
    , m_sharedRange(new QAction(tr("Same Colour &Range"), this))
{
    m_layout->setContentsMargins(0, 0, 0, 0);
    m_layout->setSpacing(2);
    m_layout->addWidget(m_active, 0, 0);
    auto* group = new QActionGroup(this);
    static constexpr std::array counts{1, 2, 4};
    const std::array names{tr("&One Map"), tr("&Two Maps"), tr("&Four Maps")};
    for (std::size_t i = 0; i < counts.size(); ++i) {
        auto* action = new QAction(names[i], this);
        action->setCheckable(true);
        action->setChecked(i == 0);
        action->setShortcut(QKeySequence(Qt::CTRL | (Qt::Key_1 + static_cast<int>(i == 2 ? 3 : i))));
        group->addAction(action);
        connect(action, &QAction::triggered, this, [this, count = counts[i]] { setCount(count); });
        m_actions.push_back(action);
    }
    m_sharedRange->setCheckable(true);
    m_sharedRange->setChecked(true);
    m_sharedRange->setToolTip(tr("Pinned maps have the colour range of the map in view; else each ends at its own "
                                 "largest value"));
    m_actions.push_back(m_sharedRange);
    connect(m_sharedRange, &QAction::toggled, this, &MapGrid::applyStyle);
    connect(m_active, &HeatMapView::mapWindowChanged, this, [this] { followWindow(m_active); });
    connect(m_active, &HeatMapView::mapStyleChanged, this, &MapGrid::applyStyle);
}

void MapGrid::setCount(int count)
{
    const auto wanted = static_cast<std::size_t>(std::clamp(count, 1, 4) - 1);
    while (m_panes.size() > wanted) {
        delete m_panes.back();
        m_panes.pop_back();
    }
    while (m_panes.size() < wanted)
        addPane();
    for (std::size_t i = 0; i < m_panes.size(); ++i) {
        m_layout->addWidget(m_panes[i], static_cast<int>(i + 1) / 2, static_cast<int>(i + 1) % 2);
        m_panes[i]->show();
    }
    m_actions[count <= 1 ? 0 : count == 2 ? 1 : 2]->setChecked(true);
}

void MapGrid::addPane()
{
    auto* pane = new MapPane(m_models, m_timeline, m_active->tileCache(), this);
    HeatMapView* map = pane->heatMap();
    map->setMapStyle(m_active->mapStyle());
    map->setMapWindow(m_active->mapWindow());
    connect(map, &HeatMapView::mapWindowChanged, this, [this, map] { followWindow(map); });
    connect(map, &HeatMapView::loaded, this, [this] {
        if (!m_sharedRange->isChecked())
            applyStyle();
    });
    connect(pane, &MapPane::swapRequested, this, [this, pane] { swap(pane); });
    connect(pane, &MapPane::failed, this, &MapGrid::failed);
    m_panes.push_back(pane);
}

void MapGrid::showSample()
{
    for (MapPane* pane : m_panes)
        pane->showWindowSample();
    followWindow(m_active);
}

void MapGrid::followWindow(const HeatMapView* moved)
{
    if (std::exchange(m_isFollowing, true))
        return;
    const MapWindow window = moved->mapWindow();
    if (moved != m_active)
        m_active->setMapWindow(window);
    for (MapPane* pane : m_panes) {
        if (pane->heatMap() != moved)
            pane->heatMap()->setMapWindow(window);
    }
    m_isFollowing = false;
}

void MapGrid::applyStyle()
{
    for (MapPane* pane : m_panes) {
        MapStyle style = m_active->mapStyle();
        const auto largest = pane->heatMap()->largestValue();
        if (!m_sharedRange->isChecked() && largest && static_cast<double>(*largest) > style.range.low)
            style.range.high = static_cast<double>(*largest);
        pane->heatMap()->setMapStyle(style);
    }
}

void MapGrid::swap(MapPane* pane)
{
    Selection* window = m_models.selection;
    const std::pair head{window->layer(), window->head()};
    window->setHead(pane->selection()->layer(), pane->selection()->head());
    pane->selection()->setHead(head.first, head.second);
}

} // namespace kvloupe
