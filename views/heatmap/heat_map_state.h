// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/heatmap/axis_ticker.h"
#include "views/heatmap/color_bar.h"
#include "views/heatmap/heat_map_view.h"
#include "views/heatmap/map_overlays.h"
#include "views/heatmap/tile_loader.h"
#include "views/heatmap/tile_plottable.h"

#include <atomic>

class QMouseEvent;
class QWheelEvent;

namespace kvloupe {

/// The inside of HeatMapView: the plot and its layers (heat_map_state.cpp), moving about (heat_map_navigation.cpp).
struct HeatMapView::State {
    State(HeatMapView* owner, Selection* chosen, std::shared_ptr<TileCache> tileCache);

    // Building and looks
    void buildPlot();
    void connectMouse();
    void applyPalette(const QPalette& palette);
    void applyFont(const QFont& font);
    void updateMargins();
    void updateColors();
    void updateLabels();
    void showFocus(bool focused);

    // What is on show
    /// Rows and columns of the map: the prompt, and what was generated where its rows were recorded.
    std::int64_t tokens() const;
    void setSource(SampleModelPtr newSample, std::shared_ptr<TileSource> newTiles);
    void updateShape();
    /// After another sample or lens: how far the map goes.
    void updateExtent();
    MapExtent extent() const;
    const std::shared_ptr<TileSource>& activeTiles() const { return lens.tiles ? lens.tiles : tiles; }
    void updateStep();
    std::vector<TileKey> neighbours() const;
    void prepareReplot();
    void replotAll();
    void tileArrived();

    // Moving about
    void zoomAt(QPointF pixel, double factor);
    void zoomAtMiddle(double factor);
    void pan(double keyShare, double queryShare);
    void moveCell(std::int64_t queryStep, std::int64_t keyStep);
    void stepHead(int layerStep, int headStep);
    void showCell();
    /// Stays at the cell in view; at the one that holds the maximum where a pixel stands for many. Lets go if it did.
    void togglePinned();
    void setPinned(bool pinned);
    void receiveFacts(std::int64_t query, std::int64_t key, const CellFacts& found);

    // Mouse
    void press(QMouseEvent* event);
    void move(QMouseEvent* event);
    void release(QMouseEvent* event);
    void hover(const QPointF& position);
    void wheel(QWheelEvent* event);

    HeatMapView* view;
    Selection* selection;
    QCustomPlot* plot;
    QCPAxisRect* rect = nullptr;
    ColorBar* bar = nullptr;
    QSharedPointer<TokenTicker> keyTicker;
    QSharedPointer<TokenTicker> queryTicker;
    TilePlottable* map = nullptr; // owned by the plot, as are the next five
    KeepLayer* keep = nullptr;
    SpanBands* bands = nullptr;
    GenerationMarks* marks = nullptr;
    RowStrip* rowStrip = nullptr;
    CursorLayer* cursor = nullptr;

    std::shared_ptr<TileCache> cache;
    TileLoader loader;
    SampleModelPtr sample;
    std::shared_ptr<TileSource> tiles;
    MapLens lens;
    MapStyle style;

    // Number of the newest request for an exact value; older ones are stale.
    std::shared_ptr<std::atomic<std::uint64_t>> wantedCell = std::make_shared<std::atomic<std::uint64_t>>(0);

    CellFacts facts; ///< of the cell in view, once they are there
    bool pinned = false; ///< the mouse does not move the cell
    bool pinsWhenKnown = false; ///< waits for the facts to know where the maximum is

    enum class Drag { None, Pressed, Panning, Zooming };
    Drag drag = Drag::None;
    QPointF dragStart;
    MapWindow dragWindow;
    bool announceLoaded = false;
    bool rendering = false; // a figure: the screen waits
};

/// Layers that repaint alone, besides those of the plot.
inline constexpr QLatin1String mapLayerName("map");
inline constexpr QLatin1String bandLayerName("bands");
inline constexpr QLatin1String keepLayerName("keep");
inline constexpr QLatin1String cursorLayerName("cursor");

} // namespace kvloupe
