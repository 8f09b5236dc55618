// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/heatmap/map_image.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <utility>

namespace kvloupe {
namespace {

constexpr std::int64_t tileMask = tileSize - 1;
constexpr int tileBits = 8;
static_assert(tileSize == 1 << tileBits);

std::int64_t binCount(std::int64_t tokens, int level)
{
    return (tokens + (std::int64_t{1} << level) - 1) >> level;
}

std::int64_t floorDivide(std::int64_t value, std::int64_t divisor)
{
    return value >= 0 ? value / divisor : -((-value + divisor - 1) / divisor);
}

/// Bins [first, last] that a pixel touches.
struct BinSpan {
    std::int64_t first = 0;
    std::int64_t last = -1;
};

std::vector<BinSpan> spansOfPixels(double begin, double end, int pixels, int level, std::int64_t bins)
{
    const double binsPerPixel = (end - begin) / pixels / std::ldexp(1.0, level);
    const double first = begin / std::ldexp(1.0, level);
    std::vector<BinSpan> spans(static_cast<std::size_t>(pixels));
    for (int i = 0; i < pixels; ++i) {
        // A hair inside, so that a border that falls on a pixel does not pull in the neighbour.
        const auto from = static_cast<std::int64_t>(std::floor(first + i * binsPerPixel + 1e-9));
        const auto to = static_cast<std::int64_t>(std::ceil(first + (i + 1) * binsPerPixel - 1e-9)) - 1;
        spans[static_cast<std::size_t>(i)] = {std::max<std::int64_t>(from, 0), std::min(std::max(from, to), bins - 1)};
    }
    return spans;
}

/// Of two pooled cells the one that stands for both. Halves that are not negative compare as their codes do, others do
/// so without their sign.
Half stronger(Half one, Half other, bool isSigned)
{
    constexpr int magnitude = 0x7fff;
    if (!isSigned)
        return std::max(one, other);
    return (other & magnitude) > (one & magnitude) ? other : one;
}

QRgb pooledColor(const Half* values, std::int64_t stride, BinSpan rows, BinSpan columns,
    const std::function<BinRange(std::int64_t)>& existing, Pooling pooling, const ColorTable& colors,
    bool isSigned = false)
{
    Half largest = 0;
    float sum = 0.0F;
    int count = 0;
    for (std::int64_t row = rows.first; row <= rows.last; ++row) {
        const BinRange bins = existing(row);
        for (auto column = std::max(columns.first, bins.first); column <= std::min(columns.last, bins.last); ++column) {
            const Half value = values[row * stride + column];
            largest = stronger(largest, value, isSigned);
            if (pooling == Pooling::Mean)
                sum += halfToFloat(value);
            ++count;
        }
    }
    if (count == 0)
        return 0;
    return colors.color(pooling == Pooling::Max ? largest : floatToHalf(sum / static_cast<float>(count)));
}

/// One level-`level` tile as it can be drawn now: itself, or a part of a coarser one.
struct ResolvedTile {
    Tile tile;
    int shift = 0; // levels coarser than asked
};

ResolvedTile resolve(const MapShape& shape, int level, std::int64_t row, std::int64_t column,
    const std::function<Tile(const TileKey&)>& find)
{
    for (int shift = 0; level + shift <= shape.coarsestLevel; ++shift) {
        if (Tile tile = find(shape.tile(level + shift, row >> shift, column >> shift)))
            return {std::move(tile), shift};
    }
    return {};
}

} // namespace

TileKey MapShape::tile(int level, std::int64_t row, std::int64_t column) const
{
    TileKey key = map;
    key.level = level;
    key.row = row;
    key.column = column;
    if (level == 0)
        key.pooling = Pooling::Max;
    return key;
}

int levelFor(const MapShape& shape, const MapWindow& window, QSize pixels)
{
    const double cellsPerPixel = std::max(window.keys() / pixels.width(), window.queries() / pixels.height());
    int level = shape.finestLevel;
    while (level < shape.coarsestLevel && std::ldexp(1.0, level) < cellsPerPixel * (1.0 - 1e-9))
        ++level;
    return level;
}

BinRange binsOfRow(const MapShape& shape, int level, std::int64_t row)
{
    const std::int64_t factor = std::int64_t{1} << level;
    BinRange range{0, std::min(row, binCount(shape.tokens, level) - 1)};
    if (shape.attentionWindow > 0)
        range.first = std::max<std::int64_t>(0, floorDivide(row * factor - shape.attentionWindow + 1, factor));
    return range;
}

std::vector<TileKey> visibleTiles(const MapShape& shape, const MapWindow& window, int level, double query, double key)
{
    const double cells = std::ldexp(static_cast<double>(tileSize), level);
    const std::int64_t tiles = (binCount(shape.tokens, level) + tileMask) >> tileBits;
    const auto tileAt = [&](double cell) {
        return std::clamp<std::int64_t>(static_cast<std::int64_t>(std::floor(cell / cells)), 0, tiles - 1);
    };
    struct Candidate {
        TileKey key;
        double distance = 0.0;
    };
    std::vector<Candidate> candidates;
    if (tiles == 0)
        return {};
    for (auto row = tileAt(window.queryBegin); row <= tileAt(std::nextafter(window.queryEnd, 0.0)); ++row) {
        // The first bin row of a tile reaches furthest back, its last one furthest to the right.
        const auto first = binsOfRow(shape, level, row << tileBits).first >> tileBits;
        const auto lastRow = std::min((row << tileBits) + tileMask, binCount(shape.tokens, level) - 1);
        const auto last = binsOfRow(shape, level, lastRow).last >> tileBits;
        const auto begin = std::max(first, tileAt(window.keyBegin));
        const auto end = std::min(last, tileAt(std::nextafter(window.keyEnd, 0.0)));
        for (auto column = begin; column <= end; ++column) {
            const double dy = (static_cast<double>(row) + 0.5) * cells - query;
            const double dx = (static_cast<double>(column) + 0.5) * cells - key;
            candidates.push_back({shape.tile(level, row, column), dx * dx + dy * dy});
        }
    }
    std::ranges::stable_sort(candidates, {}, &Candidate::distance);
    std::vector<TileKey> keys;
    keys.reserve(candidates.size());
    std::ranges::transform(candidates, std::back_inserter(keys), &Candidate::key);
    return keys;
}

std::vector<std::int32_t> binsOfPixels(double begin, double end, int pixels, int level, std::int64_t bins)
{
    const double binsPerPixel = (end - begin) / pixels / std::ldexp(1.0, level);
    const double first = begin / std::ldexp(1.0, level) + 0.5 * binsPerPixel;
    std::vector<std::int32_t> result(static_cast<std::size_t>(std::max(pixels, 0)));
    for (std::size_t i = 0; i < result.size(); ++i) {
        const double bin = std::floor(first + static_cast<double>(i) * binsPerPixel);
        result[i] = bin >= 0.0 && bin < static_cast<double>(bins) ? static_cast<std::int32_t>(bin) : -1;
    }
    return result;
}

int pixelOfHiddenLastBin(std::span<const std::int32_t> bins, double end, int level, std::int64_t binCount)
{
    const auto isLast = [&](std::int32_t bin) { return bin == binCount - 1; };
    const bool reachesLastBin = end > std::ldexp(static_cast<double>(binCount - 1), level);
    if (binCount < 2 || !reachesLastBin || std::ranges::any_of(bins, isLast))
        return -1;
    const auto inside = std::find_if(bins.rbegin(), bins.rend(), [](std::int32_t bin) { return bin >= 0; });
    return inside == bins.rend() ? -1 : static_cast<int>(bins.rend() - inside) - 1;
}

namespace {

/// Bins at least as large as pixels: each pixel shows the bin under its middle.
bool composeSampled(QImage& image, const MapShape& shape, const MapWindow& window, int level,
    const std::function<Tile(const TileKey&)>& find, const ColorTable& colors)
{
    const auto bins = binCount(shape.tokens, level);
    const auto columnBins = binsOfPixels(window.keyBegin, window.keyEnd, image.width(), level, bins);
    const auto rowBins = binsOfPixels(window.queryBegin, window.queryEnd, image.height(), level, bins);
    // Pixels outside the map lie before and after it.
    const auto isInside = [](std::int32_t bin) { return bin >= 0; };
    const auto insideBegin = std::ranges::find_if(columnBins, isInside);
    const auto insideEnd = std::find_if_not(insideBegin, columnBins.end(), isInside);
    const QRgb* table = colors.data();

    bool complete = true;
    std::int64_t resolvedRow = -1;
    std::map<std::int64_t, ResolvedTile> resolved; // tile column -> tile, of tile row resolvedRow
    std::int32_t paintedBin = -1;
    for (int y = 0; y < image.height(); ++y) {
        auto* line = reinterpret_cast<QRgb*>(image.scanLine(y));
        const std::int32_t row = rowBins[static_cast<std::size_t>(y)];
        if (row >= 0 && row == paintedBin) {
            std::memcpy(line, image.constScanLine(y - 1), static_cast<std::size_t>(image.width()) * sizeof(QRgb));
            continue;
        }
        std::memset(line, 0, static_cast<std::size_t>(image.width()) * sizeof(QRgb));
        paintedBin = row;
        if (row < 0)
            continue;
        if (row >> tileBits != resolvedRow) {
            resolvedRow = row >> tileBits;
            resolved.clear();
        }
        const BinRange existing = binsOfRow(shape, level, row);
        auto at = std::lower_bound(insideBegin, insideEnd, existing.first);
        const auto end = std::upper_bound(at, insideEnd, existing.last);
        while (at != end) {
            const std::int64_t tileColumn = *at >> tileBits;
            const auto segmentEnd = std::lower_bound(at, end, (tileColumn + 1) << tileBits);
            auto [found, added] = resolved.try_emplace(tileColumn);
            if (added)
                found->second = resolve(shape, level, resolvedRow, tileColumn, find);
            const auto& [tile, shift] = found->second;
            complete = complete && tile && shift == 0;
            if (tile) {
                const Half* source = tile->data() + ((row >> shift) & tileMask) * tileSize;
                QRgb* target = line + (at - columnBins.begin());
                if (shift == 0) {
                    for (auto bin = at; bin != segmentEnd; ++bin)
                        *target++ = table[source[*bin & tileMask]];
                } else {
                    for (auto bin = at; bin != segmentEnd; ++bin)
                        *target++ = table[source[(*bin >> shift) & tileMask]];
                }
            }
            at = segmentEnd;
        }
    }
    return complete;
}

/// Paints again the column and the row of pixels that hold a last bin of their own and the one before it.
void paintHiddenLastBins(QImage& image, const MapShape& shape, const MapWindow& window, int level,
    const std::function<Tile(const TileKey&)>& find, const ColorTable& colors)
{
    const auto bins = binCount(shape.tokens, level);
    const auto columns = binsOfPixels(window.keyBegin, window.keyEnd, image.width(), level, bins);
    const auto rows = binsOfPixels(window.queryBegin, window.queryEnd, image.height(), level, bins);
    const int lastColumn = pixelOfHiddenLastBin(columns, window.keyEnd, level, bins);
    const int lastRow = pixelOfHiddenLastBin(rows, window.queryEnd, level, bins);
    if (lastColumn < 0 && lastRow < 0)
        return;
    std::map<std::pair<std::int64_t, std::int64_t>, Tile> tiles;
    const auto paint = [&](int x, int y) {
        const std::int64_t row = rows[static_cast<std::size_t>(y)];
        const std::int64_t column = columns[static_cast<std::size_t>(x)];
        if (row < 0 || column < 0)
            return;
        Half largest = 0;
        float sum = 0.0F;
        int count = 0;
        for (auto r = row; r <= (y == lastRow ? bins - 1 : row); ++r) {
            const BinRange existing = binsOfRow(shape, level, r);
            for (auto c = column; c <= (x == lastColumn ? bins - 1 : column); ++c) {
                if (c < existing.first || c > existing.last)
                    continue;
                auto [found, added] = tiles.try_emplace({r >> tileBits, c >> tileBits});
                if (added)
                    found->second = find(shape.tile(level, r >> tileBits, c >> tileBits));
                if (!found->second)
                    return; // what a coarser tile painted stays
                const Half value
                    = (*found->second)[static_cast<std::size_t>((r & tileMask) * tileSize + (c & tileMask))];
                largest = stronger(largest, value, shape.isSigned);
                sum += halfToFloat(value);
                ++count;
            }
        }
        if (count > 0)
            reinterpret_cast<QRgb*>(image.scanLine(y))[x] = colors.color(
                shape.map.pooling == Pooling::Max ? largest : floatToHalf(sum / static_cast<float>(count)));
    };
    for (int y = 0; lastColumn >= 0 && y < image.height(); ++y)
        paint(lastColumn, y);
    for (int x = 0; lastRow >= 0 && x < image.width(); ++x)
        paint(x, lastRow);
}

/// Bins smaller than pixels, at the coarsest level only: that is one tile, so pooling it again costs nothing.
bool composePooled(QImage& image, const MapShape& shape, const MapWindow& window, int level,
    const std::function<Tile(const TileKey&)>& find, const ColorTable& colors)
{
    image.fill(0);
    const Tile tile = find(shape.tile(level, 0, 0));
    if (!tile)
        return false;
    const auto bins = binCount(shape.tokens, level);
    const auto columns = spansOfPixels(window.keyBegin, window.keyEnd, image.width(), level, bins);
    const auto rows = spansOfPixels(window.queryBegin, window.queryEnd, image.height(), level, bins);
    const auto existing = [&](std::int64_t row) { return binsOfRow(shape, level, row); };
    for (int y = 0; y < image.height(); ++y) {
        auto* line = reinterpret_cast<QRgb*>(image.scanLine(y));
        for (int x = 0; x < image.width(); ++x)
            line[x] = pooledColor(tile->data(), tileSize, rows[static_cast<std::size_t>(y)],
                columns[static_cast<std::size_t>(x)], existing, shape.map.pooling, colors, shape.isSigned);
    }
    return true;
}

} // namespace

bool composeMap(QImage& image, const MapShape& shape, const MapWindow& window, int level,
    const std::function<Tile(const TileKey&)>& find, const ColorTable& colors)
{
    if (image.isNull() || shape.tokens <= 0)
        return true;
    const double cellsPerPixel = std::max(window.keys() / image.width(), window.queries() / image.height());
    if (level == shape.coarsestLevel && std::ldexp(1.0, level) < cellsPerPixel * (1.0 - 1e-9))
        return composePooled(image, shape, window, level, find, colors);
    const bool complete = composeSampled(image, shape, window, level, find, colors);
    paintHiddenLastBins(image, shape, window, level, find, colors);
    return complete;
}

QImage thumbnail(std::span<const Half> values, std::int64_t edge, int size, Pooling pooling, const ColorTable& colors)
{
    QImage image(size, size, QImage::Format_ARGB32_Premultiplied);
    image.fill(0);
    if (edge <= 0 || static_cast<std::int64_t>(values.size()) < edge * edge)
        return image;
    const auto spans = spansOfPixels(0.0, static_cast<double>(edge), size, 0, edge);
    const auto existing = [](std::int64_t row) { return BinRange{0, row}; };
    for (int y = 0; y < size; ++y) {
        auto* line = reinterpret_cast<QRgb*>(image.scanLine(y));
        for (int x = 0; x < size; ++x)
            line[x] = pooledColor(values.data(), edge, spans[static_cast<std::size_t>(y)],
                spans[static_cast<std::size_t>(x)], existing, pooling, colors);
    }
    return image;
}

} // namespace kvloupe
