// SPDX-License-Identifier: GPL-3.0-or-later

#include "tests/views/heatmap/fake_tiles.h"
#include "views/heatmap/map_image.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

namespace kvloupe {
namespace {

MapShape shapeOf(std::int64_t tokens, std::int64_t attentionWindow = 0)
{
    MapShape shape;
    shape.tokens = tokens;
    shape.attentionWindow = attentionWindow;
    shape.coarsestLevel = coarsestLevel(tokens);
    return shape;
}

/// Tiles of a fake map, made when asked for.
class Tiles {
public:
    Tiles(std::int64_t tokens, FakeTiles::Cell cell)
        : m_fake(tokens, std::move(cell))
    {
    }

    Tile operator()(const TileKey& key)
    {
        Tile& tile = m_tiles[key];
        if (!tile) {
            std::vector<Half> values(static_cast<std::size_t>(tileSize * tileSize));
            for (std::int64_t i = 0; i < tileSize * tileSize; ++i)
                values[static_cast<std::size_t>(i)] = floatToHalf(m_fake.pooled(
                    key.level, key.pooling, key.row * tileSize + i / tileSize, key.column * tileSize + i % tileSize));
            tile = std::make_shared<const std::vector<Half>>(std::move(values));
        }
        return tile;
    }

private:
    FakeTiles m_fake;
    std::map<TileKey, Tile> m_tiles;
};

QImage imageOf(QSize size)
{
    return QImage(size, QImage::Format_ARGB32_Premultiplied);
}

TEST(MapImage, ChoosesTheFinestLevelWhoseBinsCoverAPixel)
{
    const MapShape shape = shapeOf(4096);
    EXPECT_EQ(shape.coarsestLevel, 4);
    EXPECT_EQ(levelFor(shape, {0, 4096, 0, 4096}, {1000, 1000}), 3);
    EXPECT_EQ(levelFor(shape, {0, 4096, 0, 4096}, {1024, 1024}), 2);
    EXPECT_EQ(levelFor(shape, {0, 1000, 0, 1000}, {1000, 1000}), 0);
    EXPECT_EQ(levelFor(shape, {0, 1001, 0, 1000}, {1000, 1000}), 1);
    EXPECT_EQ(levelFor(shape, {0, 4096, 0, 4096}, {10, 10}), 4) << "the coarsest there is";
}

TEST(MapImage, ShowsAOneCellSinkColumnAtEveryZoom)
{
    const std::int64_t tokens = 1500;
    const std::int64_t sink = 701;
    Tiles tiles(tokens, [&](std::int64_t, std::int64_t key) { return key == sink ? 0.9F : 1e-4F; });
    const ColorTable colors(ColorMap::Viridis, ColorScale::Linear, {0.0, 1.0});
    const QRgb bright = colors.color(floatToHalf(0.9F));
    const MapShape shape = shapeOf(tokens);
    for (double cells = static_cast<double>(tokens); cells > 4.0; cells /= 1.13) {
        for (const int pixels : {37, 200, 333}) {
            const double begin = std::clamp(701.5 - cells * 0.37, 0.0, static_cast<double>(tokens) - cells);
            const MapWindow window{begin, begin + cells, 1500.0 - cells, 1500.0};
            QImage image = imageOf({pixels, pixels});
            ASSERT_TRUE(
                composeMap(image, shape, window, levelFor(shape, window, image.size()), std::ref(tiles), colors));
            for (const int y : {pixels / 2, pixels - 1}) {
                if (window.queryBegin + y * window.queries() / pixels < 710.0)
                    continue; // the sink begins below
                int lit = 0;
                for (int x = 0; x < pixels; ++x)
                    lit += image.pixel(x, y) == bright ? 1 : 0;
                ASSERT_GE(lit, 1) << cells << " cells in " << pixels << " pixels, row " << y;
            }
        }
    }
}

TEST(MapImage, DoesNotTrimTheNewestTokens)
{
    // 1,337 is no multiple of any bin: the last bins are partial.
    const std::int64_t tokens = 1337;
    Tiles tiles(tokens,
        [&](std::int64_t query, std::int64_t key) { return query == tokens - 1 && key == tokens - 1 ? 1.0F : 0.0F; });
    const ColorTable colors(ColorMap::Grey, ColorScale::Linear, {0.0, 1.0});
    const MapShape shape = shapeOf(tokens);
    const MapWindow all{0, 1337, 0, 1337};
    for (const int pixels : {50, 100, 167, 256, 300, 668, 669, 1000, 1337, 1500}) {
        QImage image = imageOf({pixels, pixels});
        composeMap(image, shape, all, levelFor(shape, all, image.size()), std::ref(tiles), colors);
        EXPECT_EQ(image.pixel(pixels - 1, pixels - 1), qRgb(255, 255, 255)) << pixels;
    }
}

TEST(MapImage, PaintsEveryPixelWithTheBinUnderItsMiddle)
{
    const std::int64_t tokens = 600;
    const auto cell
        = [](std::int64_t query, std::int64_t key) { return static_cast<float>((query * 31 + key * 17) % 97) / 97.0F; };
    Tiles tiles(tokens, cell);
    const FakeTiles reference(tokens, cell);
    const ColorTable colors(ColorMap::Inferno, ColorScale::SquareRoot, {0.0, 1.0});
    for (const std::int64_t attentionWindow : {0, 130}) {
        const MapShape shape = shapeOf(tokens, attentionWindow);
        for (const MapWindow& window : {MapWindow{0, 600, 0, 600}, MapWindow{101.3, 297.9, 303.1, 471.7},
                 MapWindow{250.5, 258.25, 254.0, 260.0}, MapWindow{-5.0, 610.0, -5.0, 610.0}}) {
            QImage image = imageOf({211, 173});
            const int level = levelFor(shape, window, image.size());
            const std::int64_t factor = std::int64_t{1} << level;
            ASSERT_TRUE(composeMap(image, shape, window, level, std::ref(tiles), colors));
            for (int y = 0; y < image.height(); ++y) {
                for (int x = 0; x < image.width(); ++x) {
                    const double key = window.keyBegin + (x + 0.5) * window.keys() / image.width();
                    const double query = window.queryBegin + (y + 0.5) * window.queries() / image.height();
                    const auto column = static_cast<std::int64_t>(std::floor(key / static_cast<double>(factor)));
                    const auto row = static_cast<std::int64_t>(std::floor(query / static_cast<double>(factor)));
                    const bool inMap = key >= 0 && query >= 0 && column * factor < tokens && row * factor < tokens;
                    // The newest key of the bin may still be inside the window of its oldest query.
                    const bool inWindow
                        = attentionWindow == 0 || (column + 1) * factor - 1 > row * factor - attentionWindow;
                    QRgb expected = 0;
                    if (inMap && column <= row && inWindow)
                        expected = colors.color(floatToHalf(reference.pooled(level, Pooling::Max, row, column)));
                    ASSERT_EQ(image.pixel(x, y), expected) << x << " " << y << " level " << level;
                }
            }
        }
    }
}

TEST(MapImage, ShowsACoarserTileUntilTheRightOneArrives)
{
    const std::int64_t tokens = 1024;
    Tiles tiles(tokens, [](std::int64_t, std::int64_t key) { return key < 256 ? 1.0F : 0.0F; });
    const ColorTable colors(ColorMap::Grey, ColorScale::Linear, {0.0, 1.0});
    const MapShape shape = shapeOf(tokens);
    const MapWindow window{0, 512, 512, 1024};
    QImage image = imageOf({512, 512});
    const auto coarsestOnly
        = [&](const TileKey& key) { return key.level == shape.coarsestLevel ? tiles(key) : nullptr; };
    EXPECT_FALSE(composeMap(image, shape, window, 0, coarsestOnly, colors));
    EXPECT_EQ(image.pixel(255, 0), qRgb(255, 255, 255));
    EXPECT_EQ(image.pixel(256, 0), qRgb(0, 0, 0));
    const auto nothing = [](const TileKey&) { return Tile(); };
    EXPECT_FALSE(composeMap(image, shape, window, 0, nothing, colors));
    EXPECT_EQ(image.pixel(255, 0), 0U);
}

TEST(MapImage, AsksForTheTilesOfTheWindowBelowTheDiagonalNearestFirst)
{
    const MapShape shape = shapeOf(2048);
    const auto tiles = visibleTiles(shape, {0, 2048, 0, 2048}, 0, 2047, 2047);
    EXPECT_EQ(tiles.size(), 36U) << "8 x 8 tiles, those above the diagonal left out";
    EXPECT_EQ(tiles.front(), shape.tile(0, 7, 7));
    for (const TileKey& key : tiles)
        EXPECT_LE(key.column, key.row);
    const auto one = visibleTiles(shape, {256, 512, 1024, 1280}, 0, 0, 0);
    EXPECT_EQ(one, std::vector{shape.tile(0, 4, 1)});
    const auto windowed = visibleTiles(shapeOf(2048, 100), {0, 2048, 0, 2048}, 0, 0, 0);
    EXPECT_EQ(windowed.size(), 15U) << "the diagonal and what reaches back from it";
}

TEST(MapImage, PoolsDifferencesByTheirMagnitude)
{
    MapShape shape = shapeOf(200);
    shape.isSigned = true;
    auto tile = std::make_shared<std::vector<Half>>(static_cast<std::size_t>(tileSize * tileSize));
    (*tile)[static_cast<std::size_t>(100 * tileSize + 11)] = floatToHalf(-0.9F);
    (*tile)[static_cast<std::size_t>(100 * tileSize + 10)] = floatToHalf(0.2F);
    const ColorTable colors(ColorMap::Diverging, ColorScale::Linear, {0.0, 1.0});
    // Two cells to a pixel.
    QImage image(100, 100, QImage::Format_ARGB32_Premultiplied);
    composeMap(
        image, shape, {0, 200, 0, 200}, 0, [&](const TileKey&) { return Tile(tile); }, colors);
    EXPECT_EQ(image.pixel(5, 50), colors.color(floatToHalf(-0.9F)));
    EXPECT_EQ(image.pixel(6, 50), colors.color(floatToHalf(0.0F)));
}

TEST(MapImage, ThumbnailsKeepMaximaAndTheNewestTokens)
{
    const std::int64_t edge = 117;
    std::vector<Half> values(static_cast<std::size_t>(edge * edge), 0);
    for (std::int64_t row = 63; row < edge; ++row)
        values[static_cast<std::size_t>(row * edge + 63)] = floatToHalf(1.0F);
    values.back() = floatToHalf(1.0F);
    const ColorTable colors(ColorMap::Grey, ColorScale::Linear, {0.0, 1.0});
    for (const int size : {16, 30, 48, 117, 128}) {
        const QImage image = thumbnail(values, edge, size, Pooling::Max, colors);
        EXPECT_EQ(image.pixel(size - 1, size - 1), qRgb(255, 255, 255)) << size;
        int lit = 0;
        for (int x = 0; x < size - 1; ++x)
            lit += image.pixel(x, size - 2) == qRgb(255, 255, 255) ? 1 : 0;
        EXPECT_GE(lit, 1) << size;
        EXPECT_EQ(image.pixel(size - 1, 0), 0U) << "above the diagonal";
    }
}

} // namespace
} // namespace kvloupe
