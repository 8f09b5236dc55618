// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/heatmap/tile_plottable.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace kvloupe {
namespace {

/// The tiles around those on show: the next step of a pan finds them loaded.
MapWindow grown(const MapWindow& window, std::int64_t tokens, double cells)
{
    const auto limit = static_cast<double>(tokens);
    return {std::max(0.0, window.keyBegin - cells), std::min(limit, window.keyEnd + cells),
        std::max(0.0, window.queryBegin - cells), std::min(limit, window.queryEnd + cells)};
}

} // namespace

MapWindow windowOf(const QCPAxisRect& rect)
{
    const QCPRange keys = rect.axis(QCPAxis::atBottom)->range();
    const QCPRange queries = rect.axis(QCPAxis::atLeft)->range();
    return {keys.lower, keys.upper, queries.lower, queries.upper};
}

QRect mapArea(const QCPAxisRect& rect)
{
    return rect.rect().translated(0, -1);
}

MapPixels mapPixels(const QCPAxisRect& rect, double density)
{
    const auto toDevice = [density](int logical) { return static_cast<int>(std::lround(logical * density)); };
    const QRect area = mapArea(rect);
    const int left = toDevice(area.left());
    const int top = toDevice(area.top());
    MapPixels pixels;
    pixels.device = QRect(left, top, std::max(1, toDevice(area.left() + area.width()) - left),
        std::max(1, toDevice(area.top() + area.height()) - top));
    pixels.target = QRectF(pixels.device.left() / density, pixels.device.top() / density,
        pixels.device.width() / density, pixels.device.height() / density);
    const MapWindow window = windowOf(rect);
    const double keysPerUnit = window.keys() / std::max(1, area.width());
    const double queriesPerUnit = window.queries() / std::max(1, area.height());
    pixels.window.keyBegin = window.keyBegin + (pixels.target.left() - area.left()) * keysPerUnit;
    pixels.window.keyEnd = pixels.window.keyBegin + pixels.target.width() * keysPerUnit;
    pixels.window.queryBegin = window.queryBegin + (pixels.target.top() - area.top()) * queriesPerUnit;
    pixels.window.queryEnd = pixels.window.queryBegin + pixels.target.height() * queriesPerUnit;
    return pixels;
}

TilePlottable::TilePlottable(QCPAxisRect* rect, const QString& layer, TileCache& cache, TileLoader& loader)
    : QCPLayerable(rect->parentPlot(), layer)
    , m_rect(rect)
    , m_cache(cache)
    , m_loader(loader)
    , m_colors(std::make_shared<ColorTable>(ColorMap::Viridis, ColorScale::Logarithmic, ColorRange{}))
{
}

void TilePlottable::setShape(const std::optional<MapShape>& shape)
{
    m_shape = shape;
    m_dirty = true;
}

void TilePlottable::setColors(std::shared_ptr<const ColorTable> colors)
{
    m_colors = std::move(colors);
    m_dirty = true;
}

void TilePlottable::setCenter(double query, double key)
{
    m_centerQuery = query;
    m_centerKey = key;
}

void TilePlottable::setNeighbours(std::vector<TileKey> maps)
{
    m_neighbours = std::move(maps);
}

void TilePlottable::setFigureDensity(double density)
{
    m_figureDensity = density;
    m_dirty = true;
}

double TilePlottable::density() const
{
    return m_figureDensity > 0.0 ? m_figureDensity : mParentPlot->bufferDevicePixelRatio();
}

int TilePlottable::level() const
{
    if (!m_shape)
        return 0;
    const MapPixels pixels = mapPixels(*m_rect, density());
    return levelFor(*m_shape, pixels.window, pixels.device.size());
}

void TilePlottable::requestTiles()
{
    if (!m_shape) {
        m_requested.clear();
        m_loader.want({}, {}, -1);
        return;
    }
    const MapWindow window = windowOf(*m_rect);
    const int shown = level();
    // The coarsest tile first: it stands in for every other one until that arrives.
    std::vector<TileKey> wanted = visibleTiles(*m_shape, window, m_shape->coarsestLevel, m_centerQuery, m_centerKey);
    if (shown != m_shape->coarsestLevel) {
        const auto tiles = visibleTiles(*m_shape, window, shown, m_centerQuery, m_centerKey);
        wanted.insert(wanted.end(), tiles.begin(), tiles.end());
    }
    if (wanted == m_requested)
        return;
    m_requested = wanted;
    const double tileCells = std::ldexp(static_cast<double>(tileSize), shown) / 2;
    auto prefetch
        = visibleTiles(*m_shape, grown(window, m_shape->tokens, tileCells), shown, m_centerQuery, m_centerKey);
    for (TileKey map : m_neighbours) {
        map.level = m_shape->coarsestLevel;
        prefetch.push_back(map);
    }
    m_loader.want(std::move(wanted), std::move(prefetch), m_shape->coarsestLevel);
}

void TilePlottable::applyDefaultAntialiasingHint(QCPPainter* painter) const
{
    painter->setAntialiasing(false);
}

QRect TilePlottable::clipRect() const
{
    return m_rect->rect(); // QCustomPlot moves it up as well
}

void TilePlottable::draw(QCPPainter* painter)
{
    if (!m_shape) {
        painter->setPen(m_messageColor);
        painter->drawText(m_rect->rect().adjusted(8, 8, -8, -8), Qt::AlignCenter | Qt::TextWordWrap, m_message);
        return;
    }
    requestTiles();
    const MapPixels pixels = mapPixels(*m_rect, density());
    if (m_image.size() != pixels.device.size()) {
        m_image = QImage(pixels.device.size(), QImage::Format_ARGB32_Premultiplied);
        m_dirty = true;
    }
    if (m_dirty || pixels.window != m_imageWindow) {
        composeMap(
            m_image, *m_shape, pixels.window, levelFor(*m_shape, pixels.window, pixels.device.size()),
            [this](const TileKey& key) { return m_cache.find(key); }, *m_colors);
        m_imageWindow = pixels.window;
        m_dirty = false;
    }
    painter->setRenderHint(QPainter::SmoothPixmapTransform, false);
    painter->drawImage(pixels.target, m_image, QRectF(m_image.rect()));
}

} // namespace kvloupe
