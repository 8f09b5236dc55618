// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/heatmap/color_map.h"
#include "views/heatmap/heat_map_view.h"
#include "views/session/theme.h"

#include <QByteArray>
#include <QObject>
#include <QString>
#include <QStringList>

class QSettings;

namespace kvloupe {

/// Everything the program remembers between two starts, by name and type. A value that is damaged or from another
/// version reads as its default.
class Settings : public QObject {
    Q_OBJECT

public:
    static constexpr int mostRecentFiles = 10;
    static constexpr int mostThreads = 4096;

    /// `store` outlives this object; nullptr = nothing is read and nothing is kept (--fresh).
    explicit Settings(QSettings* store, QObject* parent = nullptr);

    const MapStyle& mapStyle() const { return m_mapStyle; }
    void setMapStyle(const MapStyle& style);

    int keepPermille() const { return m_keepPermille; }
    void setKeepPermille(int permille);

    /// As MethodModel::toSpecs gives them; empty = the defaults.
    const QStringList& methods() const { return m_methods; }
    void setMethods(const QStringList& specs);

    /// Absolute paths, the newest first.
    const QStringList& recentFiles() const { return m_recentFiles; }
    void addRecentFile(const QString& path);
    void clearRecentFiles();

    const QString& exportFolder() const { return m_exportFolder; }
    void setExportFolder(const QString& folder);

    /// The page that was last put together, as its file; empty without.
    const QString& figurePage() const { return m_figurePage; }
    void setFigurePage(const QString& page);

    /// Where recordings and results that the window makes are written; empty = nowhere yet.
    const QString& jobFolder() const { return m_jobFolder; }
    void setJobFolder(const QString& folder);

    /// Threads that recordings and evaluations compute with; 0 = all cores.
    int threads() const { return m_threads; }
    void setThreads(int threads);

    Theme theme() const { return m_theme; }
    void setTheme(Theme theme);

    const QByteArray& windowGeometry() const { return m_windowGeometry; }
    const QByteArray& windowState() const { return m_windowState; }
    void setWindow(const QByteArray& geometry, const QByteArray& state);

signals:
    void recentFilesChanged();
    void themeChanged();

private:
    void store(const QString& key, const QVariant& value);

    QSettings* m_store;
    MapStyle m_mapStyle;
    int m_keepPermille = 300;
    QStringList m_methods;
    QStringList m_recentFiles;
    QString m_exportFolder;
    QString m_figurePage;
    QString m_jobFolder;
    int m_threads = 0;
    Theme m_theme = Theme::System;
    QByteArray m_windowGeometry;
    QByteArray m_windowState;
};

} // namespace kvloupe
