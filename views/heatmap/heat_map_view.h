// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/heatmap/color_map.h"
#include "views/heatmap/keep_overlay.h"
#include "views/heatmap/map_image.h"
#include "views/heatmap/tile_source.h"
#include "views/selection/selection.h"
#include "views/session/sample_model.h"

#include <QWidget>

#include <memory>
#include <optional>
#include <vector>

class QCPPainter;
class QCustomPlot;

namespace kvloupe {

/// How a map is coloured and labelled. A value: settings and figures store it.
struct MapStyle {
    ColorMap colorMap = ColorMap::Viridis;
    ColorScale scale = ColorScale::Logarithmic;
    ColorRange range;
    Pooling pooling = Pooling::Max;
    bool showTokens = true; ///< token text on the axes where it fits, else positions
    bool showSpans = true; ///< bands of shots and other spans along both axes

    bool operator==(const MapStyle&) const = default;
};

/// What the cells of a map are.
enum class MapContent { Attention, Difference };

/// What is seen in place of the map of the head in view, under the same addresses.
struct MapLens {
    std::shared_ptr<TileSource> tiles; ///< null = those of the sample
    MapContent content = MapContent::Attention;
    MapExtent extent = MapExtent::AllTokens; ///< Prompt: no generated rows, even if they were recorded
};

/// The attention map of one head: keys from left to right, queries from top to bottom.
///
/// Mouse: wheel zooms at the cursor (Ctrl: fine), drag pans, Shift + drag zooms into a box, double click fits. Keys:
/// arrows or WASD pan, Alt + arrows move the cell (Alt + Shift: by a tenth of the view), + and - zoom, Esc resets, P
/// max or mean, [ ] head, `,` `.` layer. A click, or Enter, stays at the cell: at the true one that holds the maximum
/// where a pixel stands for many; a second one, or Esc, lets go. The head and the cell are those of the Selection.
///
/// Where rows of generated tokens were recorded they follow below the prompt, their keys to the right of it. A click on
/// one goes to its step.
class HeatMapView : public QWidget {
    Q_OBJECT

public:
    /// `selection` outlives the view. Views that are given one `cache` share its tiles and its limit.
    explicit HeatMapView(Selection* selection, QWidget* parent = nullptr, std::shared_ptr<TileCache> cache = nullptr);
    ~HeatMapView() override;

    /// Shows a sample of an open recording; nullptr clears. `source` outlives its use here.
    void setSample(SampleModelPtr sample, RecordingSource* source);
    void setSample(SampleModelPtr sample, std::shared_ptr<TileSource> tiles);
    /// The same as Selection::setHead, which it calls.
    void showHead(int layer, int head);

    /// Another sample takes the lens away.
    void setLens(const MapLens& lens);
    MapContent content() const;

    const MapStyle& mapStyle() const;
    void setMapStyle(const MapStyle& style);
    void setColorMap(ColorMap map);
    void setScale(ColorScale scale);
    void setRange(ColorRange range);
    void setPooling(Pooling pooling);
    void setShowTokens(bool show);

    /// Methods on the head on show, top strip first. Repaints the overlay only, not the map.
    void setKeepOverlay(std::vector<KeepOverlay> overlays);

    /// A share per query, [0, 1], as bars right of the map; empty = none.
    void setRowShares(std::vector<float> shares, const QColor& color);

    MapWindow mapWindow() const;
    /// Clamped to the map.
    void setMapWindow(const MapWindow& window);
    /// Shows the whole map.
    void fit();

    /// Level on show (bins of 2^level cells), and the text of the badge: "max of 8 x 8", "" at level 0.
    int level() const;
    QString poolingText() const;
    /// Value on show at a cell from what is loaded: pooled, rounded to half. NaN if nothing is loaded there.
    float shownValue(std::int64_t query, std::int64_t key) const;
    /// Pixel (widget coordinates of plot()) of the middle of a cell, and the cell at a pixel if there is one.
    QPointF pixelOfCell(std::int64_t query, std::int64_t key) const;
    std::optional<std::pair<std::int64_t, std::int64_t>> cellAt(const QPointF& pixel) const; ///< (query, key)
    /// Rectangle of the map inside plot(), in logical pixels.
    QRect mapRect() const;

    QCustomPlot* plot() const;

    /// Whether every visible tile is there; waits for them up to `timeoutMs`, running the event loop without user
    /// input.
    bool isLoaded() const;
    bool ensureLoaded(int timeoutMs = 60'000);

    /// Draws the whole view into `painter` as a figure of `size` (logical units of the painter, fonts as set by
    /// setFont): axes and text as vectors, the map as one image of `pixelsPerUnit` pixels per unit, from the finest
    /// level that density can show. Waits for the tiles. Throws Error if some cannot be read. Always in light colours.
    void renderTo(QCPPainter& painter, const QSize& size, double pixelsPerUnit);

    /// Memory of tiles, bytes.
    std::size_t cacheBytes() const;
    const std::shared_ptr<TileCache>& tileCache() const;
    /// The largest cell of the whole map, of differences the largest magnitude; none before its coarsest tiles are
    /// there.
    std::optional<float> largestValue() const;

signals:
    /// The cell under the mouse or the keyboard cursor. First the value on show (`exact` false: pooled or rounded to
    /// half), then the float32 value. NaN while unknown.
    void cellHovered(qint64 query, qint64 key, float value, bool exact);
    /// All that is known of the cell; follows `cellHovered`.
    void cellFactsKnown(qint64 query, qint64 key, const kvloupe::CellFacts& facts);
    /// Space: the next side of a comparison.
    void flipRequested();
    void lensChanged();
    /// The mouse no longer moves the cell, or does again.
    void pinnedChanged(bool pinned);
    /// One line on what happens, "" when there is nothing to say.
    void statusText(const QString& text);
    void mapStyleChanged(const kvloupe::MapStyle& style);
    void mapWindowChanged();
    /// All visible tiles are there and painted.
    void loaded();
    /// A tile could not be read; the view stays up and shows what it has.
    void failed(const QString& message);

protected:
    void changeEvent(QEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override;
    void focusInEvent(QFocusEvent* event) override;
    void focusOutEvent(QFocusEvent* event) override;

private:
    void onCellChanged();
    void describeCell(std::int64_t query, std::int64_t key, float value);

    struct State;
    std::unique_ptr<State> m_state;
};

} // namespace kvloupe
