// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <QDockWidget>
#include <QMainWindow>
#include <QString>

#include <vector>

namespace kvloupe {

/// The docks of a window: what they are called, where they lie by default, which keys show and hide them.
///
/// Docks can be closed, moved, floated and tabbed; the window's saveState remembers how. Alt + digit shows or hides
/// one.
class ViewDocks {
public:
    /// Where a dock lies by default.
    struct Place {
        Qt::DockWidgetArea area = Qt::RightDockWidgetArea;
        QString tabWith; ///< object name of a dock added before that it shares its place with, behind it; empty = none
        Qt::Key digit = Qt::Key_0; ///< Alt + digit
        int size = 300; ///< pixels: width of the column on the left and right, height at the bottom
        int height = 0; ///< pixels, of one of several docks in a column; 0 = as it comes
        bool isOpen = true;
    };

    /// `window` outlives this object and owns the docks.
    explicit ViewDocks(QMainWindow* window)
        : m_window(window)
    {
    }

    /// `name` identifies the dock in saved layouts. Takes ownership of `contents`.
    QDockWidget* add(const QString& name, const QString& title, QWidget* contents, Place place);
    void restoreDefaultLayout();
    /// Shows and raises a dock by its object name; false if there is none.
    bool raise(const QString& name);
    /// Makes a dock at the bottom as high, if there is room.
    void setHeight(const QString& name, int pixels);
    const std::vector<QDockWidget*>& all() const { return m_docks; }
    /// Deletes docks and views: they use models that would go first otherwise.
    void destroy();

private:
    QDockWidget* named(const QString& name) const; ///< null if there is none

    QMainWindow* m_window;
    std::vector<QDockWidget*> m_docks;
    std::vector<Place> m_places; ///< by dock
};

} // namespace kvloupe
