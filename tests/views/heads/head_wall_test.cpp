// SPDX-License-Identifier: GPL-3.0-or-later

#include "tests/views/heatmap/fake_tiles.h"
#include "tests/views/widget_test.h"
#include "views/heads/head_wall.h"

#include <QApplication>
#include <QHelpEvent>
#include <QScrollBar>
#include <QSignalSpy>
#include <QTest>
#include <QToolTip>

namespace kvloupe {
namespace {

class HeadWallTest : public WidgetTest {
protected:
    void open(int layers, int heads)
    {
        sample = makeSample(300, layers, heads);
        tiles = std::make_shared<FakeTiles>(300, [](std::int64_t, std::int64_t key) { return key < 6 ? 1.0F : 1e-4F; });
        tiles->heads = heads;
        showAndWait(wall, 420, 360);
        wall.setSample(sample, tiles);
        wall.setFocus();
    }

    void press(Qt::Key key)
    {
        QTest::keyClick(&wall, key);
        QApplication::processEvents();
    }

    Selection selection;
    HeadWall wall{&selection};
    std::shared_ptr<SampleModel> sample;
    std::shared_ptr<FakeTiles> tiles;
};

TEST_F(HeadWallTest, LoadsEveryLayerOnceAndOneAtATime)
{
    open(6, 4);
    EXPECT_EQ(tiles->overviewRequests, 1);
    QSignalSpy loaded(&wall, &HeadWall::loaded);
    ASSERT_TRUE(waitFor([&] { return wall.isLoaded(); }));
    EXPECT_EQ(tiles->overviewRequests, 6);
    EXPECT_EQ(loaded.count(), 1);
}

TEST_F(HeadWallTest, ShowsTheOverviewInTheColoursOfTheTable)
{
    open(2, 3);
    ASSERT_TRUE(waitFor([&] { return wall.isLoaded(); }));
    wall.setColors(ColorMap::Magma, ColorScale::Linear, {0.0, 1.0});
    const QImage image = wall.viewport()->grab().toImage();
    const QRect rect = wall.thumbnailRect(1, 2);
    const ColorTable colors(ColorMap::Magma, ColorScale::Linear, {0.0, 1.0});
    EXPECT_EQ(image.pixel(rect.left(), rect.bottom()), colors.color(floatToHalf(1.0F))) << "the sink";
    EXPECT_EQ(image.pixel(rect.center().x(), rect.bottom() - 2), colors.color(floatToHalf(1e-4F)));
    EXPECT_EQ(image.pixel(rect.right(), rect.top()), wall.palette().color(QPalette::AlternateBase).rgb())
        << "above the diagonal";
}

TEST_F(HeadWallTest, AClickSelectsTheHead)
{
    open(4, 5);
    QTest::mouseClick(wall.viewport(), Qt::LeftButton, {}, wall.thumbnailRect(3, 4).center());
    EXPECT_EQ(selection.layer(), 3);
    EXPECT_EQ(selection.head(), 4);
    QTest::mouseClick(wall.viewport(), Qt::LeftButton, {}, QPoint(2, 2));
    EXPECT_EQ(selection.layer(), 3) << "a click on the headers changes nothing";
}

TEST_F(HeadWallTest, ArrowsAndEnterSelectAHead)
{
    open(4, 5);
    selection.setHead(1, 1);
    press(Qt::Key_Right);
    press(Qt::Key_Down);
    EXPECT_EQ(selection.layer(), 1) << "moving alone selects nothing";
    press(Qt::Key_Return);
    EXPECT_EQ(selection.layer(), 2);
    EXPECT_EQ(selection.head(), 2);
    press(Qt::Key_End);
    press(Qt::Key_Space);
    EXPECT_EQ(selection.layer(), 3);
    EXPECT_EQ(selection.head(), 4);
}

TEST_F(HeadWallTest, ScrollsToTheKeyboardInAWallOfAThousandHeads)
{
    open(32, 32);
    wall.setThumbnailSize(40);
    selection.setHead(0, 0);
    press(Qt::Key_End);
    const QRect rect = wall.thumbnailRect(31, 31);
    EXPECT_TRUE(wall.viewport()->rect().contains(rect))
        << rect.x() << " " << rect.y() << " in " << wall.viewport()->width() << " x " << wall.viewport()->height();
    press(Qt::Key_Home);
    EXPECT_EQ(wall.verticalScrollBar()->value(), 0);
    EXPECT_EQ(wall.horizontalScrollBar()->value(), 0);
    ASSERT_TRUE(waitFor([&] { return wall.isLoaded(); }));
}

TEST_F(HeadWallTest, FramesTheSelectedHeadOnDarkAndLight)
{
    open(2, 3);
    selection.setHead(1, 1);
    ASSERT_TRUE(waitFor([&] { return wall.isLoaded(); }));
    const QImage image = wall.viewport()->grab().toImage();
    const QRect rect = wall.thumbnailRect(1, 1);
    EXPECT_EQ(image.pixel(rect.left() - 3, rect.center().y()), qRgb(0, 0, 0));
    EXPECT_EQ(image.pixel(rect.left() - 2, rect.center().y()), qRgb(255, 255, 255));
}

TEST_F(HeadWallTest, ALayerThatCannotBeReadIsCrossedOutAndTheOthersLoad)
{
    open(3, 2);
    tiles->damaged = [](const TileKey& key) { return key.layer == 1; };
    QSignalSpy failed(&wall, &HeadWall::failed);
    wall.setSample(sample, tiles);
    ASSERT_TRUE(waitFor([&] { return wall.isLoaded(); }));
    ASSERT_EQ(failed.count(), 1);
    EXPECT_TRUE(failed.first().first().toString().contains(QStringLiteral("layer 1")));
    const QPoint position = wall.thumbnailRect(1, 0).center();
    QHelpEvent help(QEvent::ToolTip, position, wall.viewport()->mapToGlobal(position));
    QApplication::sendEvent(wall.viewport(), &help);
    EXPECT_TRUE(QToolTip::text().contains(QStringLiteral("could not be read"))) << qPrintable(QToolTip::text());
    QToolTip::hideText();
}

TEST_F(HeadWallTest, PoolingIsReadAgain)
{
    open(2, 2);
    ASSERT_TRUE(waitFor([&] { return wall.isLoaded(); }));
    wall.setPooling(Pooling::Mean);
    EXPECT_FALSE(wall.isLoaded());
    ASSERT_TRUE(waitFor([&] { return wall.isLoaded(); }));
    EXPECT_EQ(tiles->overviewRequests, 4);
}

TEST_F(HeadWallTest, CanBeEmptied)
{
    open(2, 2);
    wall.setSample(nullptr, std::shared_ptr<TileSource>());
    wall.grab();
    press(Qt::Key_Down);
    press(Qt::Key_Return);
    EXPECT_TRUE(wall.thumbnailRect(0, 0).isEmpty());
}

} // namespace
} // namespace kvloupe
