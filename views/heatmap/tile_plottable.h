// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/heatmap/map_image.h"
#include "views/heatmap/plot.h"
#include "views/heatmap/tile_loader.h"

#include <memory>
#include <optional>
#include <vector>

namespace kvloupe {

/// The pixels of the map on the device, and the cells under exactly these pixels. A logical rectangle may end between
/// device pixels (scale factors like 1.25); drawing sticks to whole ones so that no column is resampled away.
struct MapPixels {
    QRect device; ///< device pixels
    QRectF target; ///< the same in logical units
    MapWindow window; ///< cells under `device`
};

/// Logical pixels of the map. QCustomPlot counts the vertical axis from the bottom pixel of the axis rectangle, so
/// everything it draws lies one pixel higher than that rectangle says; the map goes along.
QRect mapArea(const QCPAxisRect& rect);

/// Pixels of the map with `density` device pixels per logical unit; the axes give the cells.
MapPixels mapPixels(const QCPAxisRect& rect, double density);
MapWindow windowOf(const QCPAxisRect& rect);

/// Draws the map of one head from the tiles in a cache and asks for those that are missing.
class TilePlottable final : public QCPLayerable {
public:
    /// Owned by the plot of `rect`, drawn on its layer `layer`. The other arguments outlive it.
    TilePlottable(QCPAxisRect* rect, const QString& layer, TileCache& cache, TileLoader& loader);

    void setShape(const std::optional<MapShape>& shape);
    const std::optional<MapShape>& shape() const { return m_shape; }
    void setColors(std::shared_ptr<const ColorTable> colors);
    const ColorTable& colors() const { return *m_colors; }
    /// Shown instead of a map while there is no shape.
    void setMessage(const QString& message) { m_message = message; }
    void setMessageColor(const QColor& color) { m_messageColor = color; }
    /// Tiles nearest to this cell load first.
    void setCenter(double query, double key);
    /// Maps whose coarsest tile is worth having once everything on show is there.
    void setNeighbours(std::vector<TileKey> maps);
    /// Pixels per logical unit for figures; 0 = those of the screen.
    void setFigureDensity(double density);

    double density() const;
    int level() const;
    /// Asks the loader for what the axes show now; does nothing if that was asked before.
    void requestTiles();
    /// The image is composed again at the next draw.
    void invalidate() { m_dirty = true; }

protected:
    void applyDefaultAntialiasingHint(QCPPainter* painter) const override;
    QRect clipRect() const override;
    void draw(QCPPainter* painter) override;

private:
    QCPAxisRect* m_rect;
    TileCache& m_cache;
    TileLoader& m_loader;
    std::optional<MapShape> m_shape;
    std::shared_ptr<const ColorTable> m_colors;
    QString m_message;
    QColor m_messageColor;
    double m_centerQuery = 0.0;
    double m_centerKey = 0.0;
    std::vector<TileKey> m_neighbours;
    double m_figureDensity = 0.0;

    QImage m_image;
    MapWindow m_imageWindow;
    bool m_dirty = true;
    std::vector<TileKey> m_requested;
};

} // namespace kvloupe
