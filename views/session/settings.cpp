// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/session/settings.h"

#include <QSettings>

namespace kvloupe {

namespace {

QString named(std::string_view name)
{
    return QString::fromUtf8(name.data(), static_cast<qsizetype>(name.size()));
}

constexpr QLatin1String colorMapKey("map/colormap");
constexpr QLatin1String scaleKey("map/scale");
constexpr QLatin1String poolingKey("map/pooling");
constexpr QLatin1String lowKey("map/low");
constexpr QLatin1String highKey("map/high");
constexpr QLatin1String tokensKey("map/tokens");
constexpr QLatin1String spansKey("map/spans");
constexpr QLatin1String keepKey("methods/keep_permille");
constexpr QLatin1String methodsKey("methods/specs");
constexpr QLatin1String recentKey("files/recent");
constexpr QLatin1String exportKey("files/export_folder");
constexpr QLatin1String figurePageKey("figure/page");
constexpr QLatin1String themeKey("window/theme");
constexpr QLatin1String jobFolderKey("jobs/folder");
constexpr QLatin1String threadsKey("jobs/threads");
constexpr QLatin1String geometryKey("window/geometry");
constexpr QLatin1String stateKey("window/state");

} // namespace

Settings::Settings(QSettings* store, QObject* parent)
    : QObject(parent)
    , m_store(store)
{
    if (!m_store)
        return;
    const auto text = [this](const QString& key) { return m_store->value(key).toString().toStdString(); };
    m_mapStyle.colorMap = colorMapFromName(text(colorMapKey)).value_or(m_mapStyle.colorMap);
    m_mapStyle.scale = colorScaleFromName(text(scaleKey)).value_or(m_mapStyle.scale);
    m_mapStyle.pooling = text(poolingKey) == poolingName(Pooling::Mean) ? Pooling::Mean : Pooling::Max;
    const ColorRange range{m_store->value(lowKey, m_mapStyle.range.low).toDouble(),
        m_store->value(highKey, m_mapStyle.range.high).toDouble()};
    if (range.low >= 0.0 && range.low < range.high && range.high <= 1.0)
        m_mapStyle.range = range;
    m_mapStyle.showTokens = m_store->value(tokensKey, m_mapStyle.showTokens).toBool();
    m_mapStyle.showSpans = m_store->value(spansKey, m_mapStyle.showSpans).toBool();
    const int permille = m_store->value(keepKey, m_keepPermille).toInt();
    if (permille >= 1 && permille <= 1000)
        m_keepPermille = permille;
    m_methods = m_store->value(methodsKey).toStringList();
    m_recentFiles = m_store->value(recentKey).toStringList().mid(0, mostRecentFiles);
    m_exportFolder = m_store->value(exportKey).toString();
    m_figurePage = m_store->value(figurePageKey).toString();
    m_theme = themeFromName(text(themeKey)).value_or(m_theme);
    m_jobFolder = m_store->value(jobFolderKey).toString();
    if (const int threads = m_store->value(threadsKey).toInt(); threads >= 0 && threads <= mostThreads)
        m_threads = threads;
    m_windowGeometry = m_store->value(geometryKey).toByteArray();
    m_windowState = m_store->value(stateKey).toByteArray();
}

void Settings::store(const QString& key, const QVariant& value)
{
    if (m_store)
        m_store->setValue(key, value);
}

void Settings::setMapStyle(const MapStyle& style)
{
    if (m_mapStyle == style)
        return;
    m_mapStyle = style;
    store(colorMapKey, named(colorMapName(style.colorMap)));
    store(scaleKey, named(colorScaleName(style.scale)));
    store(poolingKey, named(poolingName(style.pooling)));
    store(lowKey, style.range.low);
    store(highKey, style.range.high);
    store(tokensKey, style.showTokens);
    store(spansKey, style.showSpans);
}

void Settings::setKeepPermille(int permille)
{
    if (m_keepPermille == permille)
        return;
    m_keepPermille = permille;
    store(keepKey, permille);
}

void Settings::setMethods(const QStringList& specs)
{
    if (m_methods == specs)
        return;
    m_methods = specs;
    store(methodsKey, specs);
}

void Settings::addRecentFile(const QString& path)
{
    if (!m_recentFiles.isEmpty() && m_recentFiles.front() == path)
        return;
    m_recentFiles.removeAll(path);
    m_recentFiles.prepend(path);
    m_recentFiles = m_recentFiles.mid(0, mostRecentFiles);
    store(recentKey, m_recentFiles);
    emit recentFilesChanged();
}

void Settings::clearRecentFiles()
{
    if (m_recentFiles.isEmpty())
        return;
    m_recentFiles.clear();
    store(recentKey, m_recentFiles);
    emit recentFilesChanged();
}

void Settings::setExportFolder(const QString& folder)
{
    if (m_exportFolder == folder)
        return;
    m_exportFolder = folder;
    store(exportKey, folder);
}

void Settings::setFigurePage(const QString& page)
{
    if (m_figurePage == page)
        return;
    m_figurePage = page;
    store(figurePageKey, page);
}

void Settings::setTheme(Theme theme)
{
    if (m_theme == theme)
        return;
    m_theme = theme;
    store(themeKey, named(themeName(theme)));
    emit themeChanged();
}

void Settings::setJobFolder(const QString& folder)
{
    if (m_jobFolder == folder)
        return;
    m_jobFolder = folder;
    store(jobFolderKey, folder);
}

void Settings::setThreads(int threads)
{
    if (m_threads == threads)
        return;
    m_threads = threads;
    store(threadsKey, threads);
}

void Settings::setWindow(const QByteArray& geometry, const QByteArray& state)
{
    m_windowGeometry = geometry;
    m_windowState = state;
    store(geometryKey, geometry);
    store(stateKey, state);
}

} // namespace kvloupe
