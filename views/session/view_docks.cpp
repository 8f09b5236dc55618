// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/session/view_docks.h"

#include <QAction>

#include <algorithm>
#include <utility>

namespace kvloupe {

QDockWidget* ViewDocks::add(const QString& name, const QString& title, QWidget* contents, Place place)
{
    auto* dock = new QDockWidget(title, m_window);
    dock->setObjectName(name);
    dock->setWidget(contents);
    dock->toggleViewAction()->setShortcut(QKeySequence(Qt::ALT | place.digit));
    m_docks.push_back(dock);
    m_places.push_back(std::move(place));
    return dock;
}

QDockWidget* ViewDocks::named(const QString& name) const
{
    const auto found = std::ranges::find(m_docks, name, &QObject::objectName);
    return found == m_docks.end() ? nullptr : *found;
}

void ViewDocks::restoreDefaultLayout()
{
    for (std::size_t index = 0; index < m_docks.size(); ++index) {
        QDockWidget* dock = m_docks[index];
        const Place& place = m_places[index];
        dock->setFloating(false);
        m_window->addDockWidget(place.area, dock);
        if (QDockWidget* front = named(place.tabWith))
            m_window->tabifyDockWidget(front, dock);
        dock->setVisible(place.isOpen);
    }
    m_window->setCorner(Qt::BottomLeftCorner, Qt::LeftDockWidgetArea);
    m_window->setCorner(Qt::BottomRightCorner, Qt::BottomDockWidgetArea);
    for (std::size_t index = 0; index < m_docks.size(); ++index) {
        const Place& place = m_places[index];
        if (!place.tabWith.isEmpty())
            continue;
        m_docks[index]->raise();
        const bool isBottom = place.area == Qt::BottomDockWidgetArea;
        m_window->resizeDocks({m_docks[index]}, {place.size}, isBottom ? Qt::Vertical : Qt::Horizontal);
        if (place.height > 0)
            m_window->resizeDocks({m_docks[index]}, {place.height}, Qt::Vertical);
    }
}

bool ViewDocks::raise(const QString& name)
{
    QDockWidget* dock = named(name);
    if (dock == nullptr)
        return false;
    dock->show();
    dock->raise();
    return true;
}

void ViewDocks::setHeight(const QString& name, int pixels)
{
    if (QDockWidget* dock = named(name))
        m_window->resizeDocks({dock}, {pixels}, Qt::Vertical);
}

void ViewDocks::destroy()
{
    for (QDockWidget* dock : std::exchange(m_docks, {}))
        delete dock;
}

} // namespace kvloupe
