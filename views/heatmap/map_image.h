// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/heatmap/color_map.h"
#include "views/heatmap/tile_cache.h"

#include <QImage>
#include <QSize>

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace kvloupe {

/// Rectangle of cells: cell k covers [k, k + 1).
struct MapWindow {
    double keyBegin = 0.0;
    double keyEnd = 0.0;
    double queryBegin = 0.0;
    double queryEnd = 0.0;

    double keys() const { return keyEnd - keyBegin; }
    double queries() const { return queryEnd - queryBegin; }
    bool operator==(const MapWindow&) const = default;
};

/// The map of one head as far as drawing is concerned.
struct MapShape {
    std::int64_t tokens = 0; ///< prompt tokens, rows and columns of level 0
    std::int64_t attentionWindow = 0; ///< sliding window, 0 = global
    int finestLevel = 0;
    int coarsestLevel = 0;
    bool isSigned = false; ///< differences: what lies under one pixel is pooled by magnitude
    TileKey map; ///< sample, layer, head and pooling; level, row and column have no meaning here

    TileKey tile(int level, std::int64_t row, std::int64_t column) const;
};

/// Finest level whose bins are at least one pixel wide and high, so that drawing never leaves out a column.
int levelFor(const MapShape& shape, const MapWindow& window, QSize pixels);

/// Tiles of a level that hold cells of the window below the diagonal, those nearest to (`query`, `key`) first.
std::vector<TileKey> visibleTiles(const MapShape& shape, const MapWindow& window, int level, double query, double key);

/// Bins [first, last] that exist in bin row `row` of a level: below the diagonal and inside the attention window.
struct BinRange {
    std::int64_t first = 0;
    std::int64_t last = -1;
};
BinRange binsOfRow(const MapShape& shape, int level, std::int64_t row);

/// Index of the bin of 2^level cells at the middle of each pixel of an axis; -1 outside [0, bins).
std::vector<std::int32_t> binsOfPixels(double begin, double end, int pixels, int level, std::int64_t bins);

/// The last bin of a map may hold few cells and lie between the middles of two pixels: the pixel that must show it
/// together with its own bin, -1 if there is none. `bins` as returned by binsOfPixels for an axis that ends at cell
/// `end`.
int pixelOfHiddenLastBin(std::span<const std::int32_t> bins, double end, int level, std::int64_t binCount);

/// Draws the window into `image` (format ARGB32_Premultiplied, the size is the device pixels of the map): every pixel
/// is the colour of the bin under its middle, bins smaller than a pixel are pooled; what does not exist is transparent.
/// A tile that `find` does not have is replaced by its nearest coarser one. Returns whether all tiles of `level` were
/// there.
bool composeMap(QImage& image, const MapShape& shape, const MapWindow& window, int level,
    const std::function<Tile(const TileKey&)>& find, const ColorTable& colors);

/// Draws a small square map of `edge` x `edge` bins (row stride `edge`) to `size` x `size` pixels; maxima stay maxima.
QImage thumbnail(std::span<const Half> values, std::int64_t edge, int size, Pooling pooling, const ColorTable& colors);

} // namespace kvloupe
