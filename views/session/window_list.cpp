// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/session/window_list.h"

#include "views/session/main_window.h"

#include <QMenu>

#include <algorithm>

namespace kvloupe {

namespace {

/// How far a new window lies from the one it was asked for in, so that neither hides the other.
constexpr int cascadePixels = 32;

} // namespace

WindowList::WindowList(Settings* settings, QObject* parent)
    : QObject(parent)
    , m_settings(settings)
{
}

WindowList::~WindowList()
{
    for (MainWindow* window : m_windows)
        delete window;
}

MainWindow* WindowList::add()
{
    auto* window = new MainWindow(m_settings);
    if (!m_windows.empty())
        window->move(m_windows.back()->pos() + QPoint(cascadePixels, cascadePixels));
    m_windows.push_back(window);
    connect(window, &MainWindow::closed, this, [this, window] { remove(window); });
    connect(window, &MainWindow::windowRequested, this, [this](const QString& file) { open(file); });
    connect(window->windowMenu(), &QMenu::aboutToShow, this, [this, window] { fill(window->windowMenu(), window); });
    return window;
}

MainWindow* WindowList::open(const QString& file)
{
    MainWindow* window = add();
    window->show();
    if (!file.isEmpty())
        window->open(file.toStdString());
    return window;
}

void WindowList::remove(MainWindow* window)
{
    std::erase(m_windows, window);
    window->deleteLater();
}

void WindowList::fill(QMenu* menu, MainWindow* own)
{
    // What was listed last time; the menu's own commands are no children of this object.
    const QList<QAction*> listed
        = menu->findChildren<QAction*>(QStringLiteral("listedWindow"), Qt::FindDirectChildrenOnly);
    qDeleteAll(listed);
    for (MainWindow* window : m_windows) {
        auto* action = new QAction(window->windowTitle(), menu);
        action->setObjectName(QStringLiteral("listedWindow"));
        action->setCheckable(true);
        action->setChecked(window == own);
        connect(action, &QAction::triggered, window, [window] {
            window->show();
            window->raise();
            window->activateWindow();
        });
        menu->addAction(action);
    }
}

} // namespace kvloupe
