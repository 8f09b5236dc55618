// SPDX-License-Identifier: GPL-3.0-or-later

#include "tests/views/chart/made_chart.h"
#include "tests/views/widget_test.h"
#include "views/chart/chart_exporter.h"
#include "views/chart/chart_view.h"

#include <QFile>
#include <QHelpEvent>
#include <QSignalSpy>
#include <QTest>
#include <QToolTip>

#include <memory>

namespace kvloupe {
namespace {

class ChartViewTest : public WidgetTest {
protected:
    void show(const Chart& chart, int width = 900, int height = 700)
    {
        view = std::make_unique<ChartView>();
        view->setChart(chart);
        showAndWait(*view, width, height);
        view->setFocus();
    }

    QColor colorAt(const QPoint& pixel) { return view->grab().toImage().pixelColor(pixel); }

    std::unique_ptr<ChartView> view;
};

TEST_F(ChartViewTest, AClickOnAPointChoosesIt)
{
    show(madeLines());
    const QSignalSpy chosen(view.get(), &ChartView::chosen);
    const ChartTarget target{1, 1, 2, -1, -1};
    QTest::mouseClick(view.get(), Qt::LeftButton, {}, view->pixelOf(target));
    ASSERT_EQ(chosen.count(), 1);
    EXPECT_EQ(view->current(), target);
    QTest::mouseClick(view.get(), Qt::LeftButton, {}, QPoint(3, view->height() - 3));
    EXPECT_EQ(chosen.count(), 1) << "beside every point";
}

TEST_F(ChartViewTest, AClickOnACellChoosesItsLayerAndHead)
{
    show(madeMatrix());
    const ChartTarget target{0, -1, -1, 2, 1};
    QTest::mouseClick(view.get(), Qt::LeftButton, {}, view->pixelOf(target));
    EXPECT_EQ(view->current(), target);
    EXPECT_EQ(view->accessibleDescription(), QStringLiteral("layer 9, head 1: 0.8182"));
}

TEST_F(ChartViewTest, KeysGoAlongALineFromLineToLineAndFromPanelToPanel)
{
    show(madeLines());
    const QSignalSpy chosen(view.get(), &ChartView::chosen);
    const auto press = [&](Qt::Key key) {
        QTest::keyClick(view.get(), key);
        return view->accessibleDescription().toStdString();
    };
    EXPECT_EQ(press(Qt::Key_Right), "SnapKV: 30 %") << "the first point of the first panel";
    EXPECT_EQ(press(Qt::Key_Left), "SnapKV: 50 %") << "the axis runs from 100 to 0, so left is more";
    EXPECT_EQ(press(Qt::Key_Down), "H2O: 60 %") << "at the same place";
    EXPECT_EQ(press(Qt::Key_Home), "H2O: 70 %") << "leftmost";
    EXPECT_EQ(press(Qt::Key_End), "H2O: 20 %");
    EXPECT_EQ(press(Qt::Key_Right), "H2O: 20 %") << "there is nothing further right";
    EXPECT_EQ(press(Qt::Key_Up), "SnapKV: 30 %");
    press(Qt::Key_PageDown);
    EXPECT_EQ(view->current()->panel, 1);
    press(Qt::Key_PageDown);
    press(Qt::Key_PageDown);
    EXPECT_EQ(view->current()->panel, 2) << "the last stays";
    EXPECT_EQ(chosen.count(), 0);
    press(Qt::Key_Return);
    EXPECT_EQ(chosen.count(), 1);
    press(Qt::Key_Escape);
    EXPECT_FALSE(view->current());
}

TEST_F(ChartViewTest, AnArrowMovesFromCellToCell)
{
    show(madeMatrix());
    for (const Qt::Key key : {Qt::Key_Down, Qt::Key_Down, Qt::Key_Right, Qt::Key_Right, Qt::Key_Left})
        QTest::keyClick(view.get(), key);
    EXPECT_EQ(view->current(), (ChartTarget{0, -1, -1, 1, 1}));
    EXPECT_EQ(view->accessibleDescription(), QStringLiteral("layer 5, head 1: not measured"));
}

TEST_F(ChartViewTest, ATooltipTellsTheNumbers)
{
    show(madeLines());
    const QPoint at = view->pixelOf({0, 0, 2, -1, -1});
    QHelpEvent event(QEvent::ToolTip, at, view->mapToGlobal(at));
    QApplication::sendEvent(view.get(), &event);
    EXPECT_EQ(QToolTip::text(), QStringLiteral("SnapKV: 75 %"));
    QToolTip::hideText();
}

TEST_F(ChartViewTest, IsPaintedInTheColoursOfTheTheme)
{
    show(madeLines());
    const QPoint corner(2, 2);
    EXPECT_EQ(colorAt(corner), view->palette().color(QPalette::Base));
    QPalette dark;
    dark.setColor(QPalette::Base, QColor(0x20, 0x20, 0x24));
    dark.setColor(QPalette::Text, QColor(0xEE, 0xEE, 0xEE));
    view->setPalette(dark);
    EXPECT_EQ(colorAt(corner), QColor(0x20, 0x20, 0x24));
    EXPECT_EQ(colorAt(view->pixelOf({0, 1, 1, -1, -1})), QColor(0x00, 0x72, 0xB2)) << "lines keep their colours";
}

TEST_F(ChartViewTest, KeepsAPointThatIsStillThereAndDropsOneThatIsNot)
{
    show(madeLines());
    view->setCurrent(ChartTarget{1, 1, 2, -1, -1});
    Chart fewer = madeLines();
    view->setChart(fewer);
    EXPECT_TRUE(view->current());
    fewer.panels[1].series.pop_back();
    view->setChart(fewer);
    EXPECT_FALSE(view->current());
}

TEST_F(ChartViewTest, StaysUpWhenThereIsNothingOrTooLittleRoom)
{
    show(Chart());
    view->setEmptyText(QStringLiteral("drop a file"));
    view->grab();
    QTest::keyClick(view.get(), Qt::Key_Right);
    EXPECT_FALSE(view->current());
    view->setChart(madeLines());
    view->resize(40, 30);
    view->grab();
    QTest::mouseClick(view.get(), Qt::LeftButton, {}, QPoint(10, 10));
    EXPECT_FALSE(view->current());
    EXPECT_GT(view->heightForWidth(400), view->heightForWidth(900)) << "in one column panels need more height";
}

TEST_F(ChartViewTest, ExportsInTheBackgroundAndSaysWhatWentWrong)
{
    ChartExporter exporter;
    QSignalSpy saved(&exporter, &ChartExporter::saved);
    QSignalSpy failed(&exporter, &ChartExporter::failed);
    const QString path = temporaryPath(QStringLiteral("c.svg"));
    exporter.save(madeLines(), {}, QStringLiteral("test"), path.toStdString());
    ASSERT_TRUE(waitFor([&] { return saved.count() == 1; }));
    EXPECT_TRUE(QFile::exists(path));
    exporter.save(madeLines(), {}, QStringLiteral("test"), "/nowhere/at/all.svg");
    ASSERT_TRUE(waitFor([&] { return failed.count() == 1; }));
    EXPECT_TRUE(failed[0][0].toString().contains(QStringLiteral("/nowhere/at/all.svg: cannot be written")));
}

} // namespace
} // namespace kvloupe
