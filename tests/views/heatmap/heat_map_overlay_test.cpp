// SPDX-License-Identifier: GPL-3.0-or-later

#include "tests/views/heatmap/heat_map_fixture.h"

#include <QAbstractScrollArea>

#include <numeric>

namespace kvloupe {
namespace {

std::vector<std::int32_t> allBut(std::int32_t tokens, std::int32_t first, std::int32_t last)
{
    std::vector<std::int32_t> kept;
    for (std::int32_t i = 0; i < tokens; ++i) {
        if (i < first || i > last)
            kept.push_back(i);
    }
    return kept;
}

/// Rows of the strips: those above the map where the colour of a method shows.
int stripRow(const QImage& image, const QRect& map, QRgb color)
{
    for (int y = 0; y < map.top(); ++y) {
        for (int x = map.left(); x <= map.right(); ++x) {
            if (image.pixel(x, y) == color)
                return y + 3;
        }
    }
    return -1;
}

TEST_F(HeatMapTest, DimsTheDroppedColumnsAndNoOthers)
{
    open(40, [](std::int64_t, std::int64_t) { return 0.5F; });
    const QColor color(0, 114, 178);
    view->setKeepOverlay({{QStringLiteral("SnapKV"), color, allBut(40, 7, 9), true}});
    settle();
    const QImage image = picture();
    const QRgb whole = colorOf(0.5F);
    for (int key = 0; key < 40; ++key) {
        const QPoint pixel = pixelOf(39, key);
        const bool dropped = key >= 7 && key <= 9;
        EXPECT_EQ(image.pixel(pixel) != whole, dropped) << "key " << key;
        // The borders of the column, not only its middle.
        const double left
            = view->pixelOfCell(39, key).x() - (view->pixelOfCell(39, 1).x() - view->pixelOfCell(39, 0).x()) / 2;
        EXPECT_EQ(image.pixel(static_cast<int>(std::ceil(left + 0.5)), pixel.y()) != whole, dropped) << "key " << key;
    }
    EXPECT_EQ(image.pixel(pixelOf(2, 8)), view->palette().color(QPalette::Window).rgb()) << "above the diagonal";
}

TEST_F(HeatMapTest, HasAStripPerMethodInItsColour)
{
    open(40, [](std::int64_t, std::int64_t) { return 0.5F; });
    const QColor one(0, 114, 178);
    const QColor two(213, 94, 0);
    view->setKeepOverlay(
        {{QStringLiteral("A"), one, allBut(40, 0, 19), false}, {QStringLiteral("B"), two, allBut(40, 20, 39), false}});
    settle();
    const QImage image = picture();
    const int rowOne = stripRow(image, view->mapRect(), one.rgb());
    const int rowTwo = stripRow(image, view->mapRect(), two.rgb());
    ASSERT_GT(rowOne, 0);
    ASSERT_GT(rowTwo, rowOne);
    EXPECT_NE(image.pixel(pixelOf(0, 10).x(), rowOne), one.rgb());
    EXPECT_EQ(image.pixel(pixelOf(0, 30).x(), rowOne), one.rgb());
    EXPECT_EQ(image.pixel(pixelOf(0, 10).x(), rowTwo), two.rgb());
    EXPECT_NE(image.pixel(pixelOf(0, 30).x(), rowTwo), two.rgb());
    EXPECT_EQ(image.pixel(pixelOf(39, 10)), colorOf(0.5F)) << "strips alone leave the map as it is";
}

TEST_F(HeatMapTest, ASingleDroppedTokenShowsWhenAPixelHoldsMany)
{
    open(4000, [](std::int64_t, std::int64_t) { return 0.5F; });
    ASSERT_GE(view->level(), 3);
    const QColor color(0, 158, 115);
    view->setKeepOverlay({{QStringLiteral("H2O"), color, allBut(4000, 2501, 2501), true}});
    settle();
    const QImage image = picture();
    const QRect map = view->mapRect();
    const int strip = stripRow(image, map, color.rgb());
    int touched = 0;
    int marked = 0;
    for (int x = map.left(); x <= map.right() - 20; ++x) { // the diagonal ends the last row before the edge
        touched += image.pixel(x, map.bottom() - 1) != colorOf(0.5F) ? 1 : 0;
        marked += image.pixel(x, strip) != color.rgb() ? 1 : 0;
    }
    EXPECT_GE(touched, 1);
    EXPECT_LE(touched, 2);
    EXPECT_GE(marked, 1);
    EXPECT_LE(marked, 2);
}

TEST_F(HeatMapTest, ANewOverlayDoesNotTouchTheMap)
{
    open(2000, [](std::int64_t, std::int64_t) { return 0.5F; });
    view->setKeepOverlay({{QStringLiteral("H2O"), Qt::red, allBut(2000, 100, 900), true}});
    settle();
    tiles->reads.clear();
    int replots = 0;
    QObject::connect(view->plot(), &QCustomPlot::afterReplot, view.get(), [&] { ++replots; });
    for (int i = 0; i < 10; ++i)
        view->setKeepOverlay({{QStringLiteral("H2O"), Qt::red, allBut(2000, 100 + 10 * i, 900), true}});
    QApplication::processEvents();
    EXPECT_EQ(replots, 0) << "only its own layer is painted again";
    EXPECT_TRUE(tiles->reads.empty());
}

TEST_F(HeatMapTest, OverlaysWithPositionsOutsideThePromptAreHarmless)
{
    open(50, [](std::int64_t, std::int64_t) { return 0.5F; });
    view->setKeepOverlay(
        {{QStringLiteral("X"), Qt::blue, {-4, 0, 49, 50, 2'000'000'000}, true}, {{}, Qt::red, {}, true}});
    settle();
    picture();
}

TEST_F(HeatMapTest, LabelsShotsAlongBothAxes)
{
    const auto cell = [](std::int64_t, std::int64_t) { return 0.5F; };
    open(100, cell,
        {{.begin = 0, .end = 40, .kind = SpanKind::Shot, .shot = 0, .label = ""},
            {.begin = 40, .end = 80, .kind = SpanKind::Shot, .shot = 1, .label = ""},
            {.begin = 80, .end = 100, .kind = SpanKind::Question, .shot = -1, .label = ""}});
    const QImage image = picture();
    const QRect map = view->mapRect();
    // The band of the keys lies below the map, that of the queries left of it.
    const int below = map.bottom() + 5;
    const QRgb shotOne = image.pixel(pixelOf(0, 5).x(), below);
    const QRgb shotTwo = image.pixel(pixelOf(0, 45).x(), below);
    const QRgb question = image.pixel(pixelOf(0, 95).x(), below);
    EXPECT_NE(shotOne, shotTwo);
    EXPECT_NE(shotTwo, question);
    const int beside = map.left() - 5;
    EXPECT_EQ(image.pixel(beside, pixelOf(5, 0).y()), shotOne);
    EXPECT_EQ(image.pixel(beside, pixelOf(45, 0).y()), shotTwo);
    MapStyle style = view->mapStyle();
    style.showSpans = false;
    view->setMapStyle(style);
    picture();
    EXPECT_GT(view->mapRect().width(), map.width()) << "the room goes to the map";
}

} // namespace
} // namespace kvloupe
