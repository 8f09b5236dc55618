// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <QObject>
#include <QStringList>

#include <vector>

class QMenu;

namespace kvloupe {

class MainWindow;
class Settings;

/// The windows of the program. A window that is closed is deleted; the others stay.
class WindowList final : public QObject {
    Q_OBJECT

public:
    /// `settings` outlives this object.
    explicit WindowList(Settings* settings, QObject* parent = nullptr);
    ~WindowList() override;

    /// Another window, not shown yet.
    MainWindow* add();
    /// Another window, shown, with a recording or results in it; empty without a file.
    MainWindow* open(const QString& file);
    const std::vector<MainWindow*>& windows() const { return m_windows; }

private:
    void remove(MainWindow* window);
    void fill(QMenu* menu, MainWindow* own);

    Settings* m_settings;
    std::vector<MainWindow*> m_windows; ///< in the order they were made
};

} // namespace kvloupe
