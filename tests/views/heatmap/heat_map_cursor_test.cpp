// SPDX-License-Identifier: GPL-3.0-or-later

#include "tests/views/heatmap/heat_map_fixture.h"

#include <QSignalSpy>

namespace kvloupe {
namespace {

/// One cell that matters among many.
float needle(std::int64_t query, std::int64_t key)
{
    return query == 2003 && key == 706 ? 0.9F : 0.01F;
}

class HeatMapCursorTest : public HeatMapTest {
protected:
    void SetUp() override
    {
        HeatMapTest::SetUp();
        open(3000, needle);
        ASSERT_GE(view->level(), 3);
    }
};

TEST_F(HeatMapCursorTest, AClickOnAPooledPixelGoesToTheCellOfTheMaximum)
{
    const QPoint pixel = pixelOf(2003, 706);
    QTest::mouseMove(view->plot(), pixel);
    QTest::mouseClick(view->plot(), Qt::LeftButton, {}, pixel);
    ASSERT_TRUE(waitFor([&] { return selection.query() == 2003; }));
    EXPECT_EQ(selection.key(), 706);
    QTest::mouseMove(view->plot(), pixelOf(100, 50));
    EXPECT_EQ(selection.query(), 2003) << "the mouse does not move a cell that is held";
    QTest::mouseClick(view->plot(), Qt::LeftButton, {}, pixelOf(1000, 50));
    EXPECT_NEAR(static_cast<double>(selection.query()), 1000, 8) << "a second click lets go";
    QTest::mouseMove(view->plot(), pixelOf(1500, 50));
    EXPECT_NEAR(static_cast<double>(selection.query()), 1500, 8);
}

TEST_F(HeatMapCursorTest, EnterDoesTheSameAndEscapeLetsGoBeforeItFits)
{
    QSignalSpy pinned(view.get(), &HeatMapView::pinnedChanged);
    selection.setCell(2002, 708);
    press(Qt::Key_Return);
    ASSERT_TRUE(waitFor([&] { return selection.query() == 2003; }));
    ASSERT_EQ(pinned.count(), 1);
    EXPECT_TRUE(pinned.last().front().toBool());
    view->setMapWindow({0, 1000, 0, 1000});
    press(Qt::Key_Escape);
    ASSERT_EQ(pinned.count(), 2);
    EXPECT_FALSE(pinned.last().front().toBool());
    EXPECT_EQ(view->mapWindow().keyEnd, 1000);
    press(Qt::Key_Escape);
    EXPECT_EQ(view->mapWindow().keyEnd, 3000);
}

TEST_F(HeatMapCursorTest, AtFullResolutionAClickHoldsTheCellItself)
{
    view->setMapWindow({700, 720, 1990, 2010});
    settle();
    ASSERT_EQ(view->level(), 0);
    QTest::mouseClick(view->plot(), Qt::LeftButton, {}, pixelOf(2000, 705));
    EXPECT_EQ(selection.query(), 2000);
    EXPECT_EQ(selection.key(), 705);
    QTest::mouseMove(view->plot(), pixelOf(1995, 710));
    EXPECT_EQ(selection.query(), 2000);
}

TEST_F(HeatMapCursorTest, TellsRankAndWhatAPixelStandsFor)
{
    QSignalSpy known(view.get(), &HeatMapView::cellFactsKnown);
    selection.setCell(2003, 707);
    ASSERT_TRUE(waitFor([&] { return known.count() == 1; }));
    const auto facts = known.first().at(2).value<CellFacts>();
    EXPECT_EQ(facts.rank, 2);
    EXPECT_EQ(facts.visible, 2004);
    ASSERT_TRUE(facts.block);
    EXPECT_EQ(facts.block->maximum, needle(2003, 706)) << "level " << view->level();
}

TEST_F(HeatMapCursorTest, ADragStillPans)
{
    view->setMapWindow({500, 1500, 1500, 2500});
    settle();
    const QPoint from = pixelOf(2000, 1000);
    QTest::mousePress(view->plot(), Qt::LeftButton, {}, from);
    QTest::mouseMove(view->plot(), from + QPoint(60, 0));
    QTest::mouseRelease(view->plot(), Qt::LeftButton, {}, from + QPoint(60, 0));
    EXPECT_LT(view->mapWindow().keyBegin, 500);
    const std::int64_t before = selection.key();
    QTest::mouseMove(view->plot(), from + QPoint(-60, 0));
    EXPECT_NE(selection.key(), before) << "nothing is held after a drag";
}

} // namespace
} // namespace kvloupe
