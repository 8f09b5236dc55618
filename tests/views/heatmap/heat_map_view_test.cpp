// SPDX-License-Identifier: GPL-3.0-or-later

#include "tests/views/heatmap/heat_map_fixture.h"
#include "views/heatmap/axis_ticker.h"

#include <QSignalSpy>
#include <QSvgGenerator>

#include <cmath>

namespace kvloupe {
namespace {

float patterned(std::int64_t query, std::int64_t key)
{
    return static_cast<float>((query * 13 + key * 7) % 50 + 1) / 60.0F;
}

TEST_F(HeatMapTest, PaintsKnownCellsInTheColoursOfTheTable)
{
    open(300, patterned);
    view->setMapWindow({100, 130, 150, 180});
    settle();
    for (const ColorMap map : {ColorMap::Viridis, ColorMap::Cividis, ColorMap::Grey}) {
        for (const ColorScale scale : allColorScales) {
            view->setColorMap(map);
            view->setScale(scale);
            const QImage image = picture();
            for (const auto& [query, key] : {std::pair{151, 101}, {160, 120}, {178, 128}})
                EXPECT_EQ(image.pixel(pixelOf(query, key)), colorOf(patterned(query, key))) << query << " " << key;
        }
    }
}

TEST_F(HeatMapTest, HasTheFirstQueryOnTopAndTheFirstKeyAtTheLeft)
{
    open(64, [](std::int64_t query, std::int64_t key) { return query == 40 && key == 0 ? 1.0F : 1e-4F; });
    EXPECT_LT(view->pixelOfCell(0, 0).y(), view->pixelOfCell(40, 0).y());
    const QImage image = picture();
    EXPECT_EQ(image.pixel(pixelOf(40, 0)), colorOf(1.0F));
    EXPECT_EQ(image.pixel(pixelOf(23, 0)), colorOf(1e-4F));
    EXPECT_LT(std::abs(view->pixelOfCell(0, 0).x() - view->mapRect().left()), 10);
}

TEST_F(HeatMapTest, LeavesCellsAboveTheDiagonalEmpty)
{
    open(64, [](std::int64_t, std::int64_t) { return 0.5F; });
    const QImage image = picture();
    const QRgb background = view->palette().color(QPalette::Window).rgb();
    EXPECT_EQ(image.pixel(pixelOf(10, 11)), background);
    EXPECT_EQ(image.pixel(pixelOf(3, 60)), background);
    EXPECT_EQ(image.pixel(pixelOf(10, 10)), colorOf(0.5F));
}

TEST_F(HeatMapTest, ShowsAOneTokenSinkAtEveryStepOfTheWheel)
{
    const std::int64_t sink = 613;
    open(1400, [&](std::int64_t, std::int64_t key) { return key == sink ? 0.8F : 2e-4F; });
    const QRgb bright = colorOf(0.8F);
    for (int step = 0; step < 24; ++step) {
        settle();
        const QImage image = picture();
        const QRect map = view->mapRect();
        const int y = map.bottom() - 1;
        int lit = 0;
        for (int x = map.left(); x <= map.right(); ++x)
            lit += image.pixel(x, y) == bright ? 1 : 0;
        ASSERT_GE(lit, 1) << "wheel step " << step;
        wheel({view->pixelOfCell(0, sink).x(), static_cast<double>(map.bottom())}, 120);
    }
    EXPECT_LT(view->mapWindow().keys(), 10.0);
}

TEST_F(HeatMapTest, ShowsTheNewestTokenWhenItIsAloneInItsBin)
{
    open(1025, [](std::int64_t query, std::int64_t key) { return query == 1024 && key == 1024 ? 1.0F : 1e-4F; });
    const QImage image = picture();
    EXPECT_EQ(image.pixel(view->mapRect().bottomRight()), colorOf(1.0F));
}

TEST_F(HeatMapTest, ZoomKeepsTheCellUnderTheCursor)
{
    open(1000, patterned);
    const QPointF position = QRectF(view->mapRect()).center() + QPointF(-83, 117);
    const auto cell = view->cellAt(position);
    ASSERT_TRUE(cell);
    for (int step = 0; step < 12; ++step) {
        const double before = view->mapWindow().keys();
        wheel(position, 120);
        EXPECT_LT(view->mapWindow().keys(), before);
        const auto now = view->cellAt(position);
        ASSERT_TRUE(now);
        EXPECT_LE(std::abs(now->first - cell->first), 2) << "a pixel holds two cells at first";
        EXPECT_LE(std::abs(now->second - cell->second), 2);
    }
    const auto zoomed = view->cellAt(position);
    for (int step = 0; step < 5; ++step)
        wheel(position, -120);
    for (int step = 0; step < 5; ++step)
        wheel(position, 120);
    EXPECT_EQ(view->cellAt(position), zoomed);
}

TEST_F(HeatMapTest, ControlMakesTheWheelFine)
{
    open(1000, patterned);
    const QPointF middle = QRectF(view->mapRect()).center();
    wheel(middle, 120, Qt::ControlModifier);
    EXPECT_NEAR(view->mapWindow().keys(), 1000 / 1.05, 0.5);
    wheel(middle, 120);
    EXPECT_NEAR(view->mapWindow().keys(), 1000 / 1.05 / 1.25, 0.5);
}

TEST_F(HeatMapTest, DraggingPansAndStopsAtTheEdges)
{
    open(1000, patterned);
    view->setMapWindow({400, 600, 500, 700});
    const QPoint start = view->mapRect().center();
    const auto under = view->cellAt(start);
    QTest::mousePress(view->plot(), Qt::LeftButton, {}, start);
    QTest::mouseMove(view->plot(), start + QPoint(40, 0));
    QTest::mouseMove(view->plot(), start + QPoint(60, 45));
    QTest::mouseRelease(view->plot(), Qt::LeftButton, {}, start + QPoint(60, 45));
    EXPECT_EQ(view->cellAt(start + QPoint(60, 45)), under);
    EXPECT_NEAR(view->mapWindow().keys(), 200, 1e-9);

    QTest::mousePress(view->plot(), Qt::LeftButton, {}, start);
    for (int i = 1; i < 30; ++i)
        QTest::mouseMove(view->plot(), start + QPoint(100 * i, 100 * i));
    QTest::mouseRelease(view->plot(), Qt::LeftButton, {}, start + QPoint(2900, 2900));
    EXPECT_EQ(view->mapWindow(), (MapWindow{0, 200, 0, 200}));
}

TEST_F(HeatMapTest, ShiftDragZoomsIntoTheBox)
{
    open(1000, patterned);
    const QPoint from = pixelOf(600, 200);
    const QPoint to = pixelOf(800, 500);
    QTest::mousePress(view->plot(), Qt::LeftButton, Qt::ShiftModifier, from);
    QTest::mouseMove(view->plot(), to);
    QTest::mouseRelease(view->plot(), Qt::LeftButton, Qt::ShiftModifier, to);
    const MapWindow window = view->mapWindow();
    EXPECT_NEAR(window.keyBegin, 200, 4);
    EXPECT_NEAR(window.keyEnd, 500, 4);
    EXPECT_NEAR(window.queryBegin, 600, 4);
    EXPECT_NEAR(window.queryEnd, 800, 4);
}

TEST_F(HeatMapTest, DoubleClickAndEscapeShowTheWholeMap)
{
    open(1000, patterned);
    const MapWindow all{0, 1000, 0, 1000};
    view->setMapWindow({400, 600, 500, 700});
    QTest::mouseDClick(view->plot(), Qt::LeftButton, {}, view->mapRect().center());
    EXPECT_EQ(view->mapWindow(), all);
    view->setMapWindow({400, 600, 500, 700});
    press(Qt::Key_Escape);
    EXPECT_EQ(view->mapWindow(), all);
}

TEST_F(HeatMapTest, KeysPanAndZoom)
{
    open(1000, patterned);
    view->setMapWindow({400, 600, 500, 700});
    const auto keyBegin = [&] { return view->mapWindow().keyBegin; };
    const auto queryBegin = [&] { return view->mapWindow().queryBegin; };
    press(Qt::Key_Right);
    EXPECT_NEAR(keyBegin(), 420, 1e-6);
    press(Qt::Key_A);
    EXPECT_NEAR(keyBegin(), 400, 1e-6);
    press(Qt::Key_Down);
    EXPECT_NEAR(queryBegin(), 520, 1e-6);
    press(Qt::Key_W);
    EXPECT_NEAR(queryBegin(), 500, 1e-6);
    press(Qt::Key_Plus);
    EXPECT_NEAR(view->mapWindow().keys(), 160, 1e-6);
    press(Qt::Key_Minus);
    EXPECT_NEAR(view->mapWindow().keys(), 200, 1e-6);
}

TEST_F(HeatMapTest, KeysChangeHeadAndLayerAndStopAtTheLast)
{
    open(100, patterned);
    press(Qt::Key_BracketRight);
    press(Qt::Key_BracketRight);
    press(Qt::Key_BracketRight);
    EXPECT_EQ(selection.head(), 2);
    press(Qt::Key_BracketLeft);
    EXPECT_EQ(selection.head(), 1);
    press(Qt::Key_Period);
    press(Qt::Key_Period);
    EXPECT_EQ(selection.layer(), 1);
    press(Qt::Key_Comma);
    EXPECT_EQ(selection.layer(), 0);
    settle();
    EXPECT_EQ(tiles->reads.back().layer + tiles->reads.back().head >= 0, true);
}

TEST_F(HeatMapTest, PSwitchesBetweenMaximumAndMean)
{
    open(2000, [](std::int64_t, std::int64_t key) { return key == 900 ? 1.0F : 1e-4F; });
    QSignalSpy changed(view.get(), &HeatMapView::mapStyleChanged);
    const int factor = 1 << view->level();
    ASSERT_GT(factor, 1);
    EXPECT_EQ(view->poolingText(), QStringLiteral("max of %1 x %1").arg(factor));
    EXPECT_FLOAT_EQ(view->shownValue(1999, 900), 1.0F);
    press(Qt::Key_P);
    settle();
    EXPECT_EQ(changed.count(), 1);
    EXPECT_EQ(view->poolingText(), QStringLiteral("mean of %1 x %1").arg(factor));
    EXPECT_NEAR(view->shownValue(1999, 900), 1.0F / static_cast<float>(factor), 0.01F);
    const QImage image = picture();
    EXPECT_NE(image.pixel(pixelOf(1999, 900)), colorOf(1.0F));
}

TEST_F(HeatMapTest, TheKeyboardReachesEveryCell)
{
    open(500, patterned);
    view->setMapWindow({100, 120, 200, 220});
    selection.setCell(219, 119);
    press(Qt::Key_Right, Qt::AltModifier);
    press(Qt::Key_Down, Qt::AltModifier);
    EXPECT_EQ(selection.query(), 220);
    EXPECT_EQ(selection.key(), 120);
    EXPECT_NEAR(view->mapWindow().keyEnd, 121, 1e-6) << "the view follows the cell";
    EXPECT_NEAR(view->mapWindow().queryEnd, 221, 1e-6);
    press(Qt::Key_Left, Qt::AltModifier | Qt::ShiftModifier);
    EXPECT_EQ(selection.key(), 118);
    for (int i = 0; i < 111; ++i)
        press(Qt::Key_Up, Qt::AltModifier | Qt::ShiftModifier);
    EXPECT_EQ(selection.query(), 0);
}

TEST_F(HeatMapTest, TellsTheValueUnderTheMouseAndTheExactOneAfterwards)
{
    open(1500, [](std::int64_t query, std::int64_t key) { return query == 1000 && key == 300 ? 0.1234567F : 0.25F; });
    QSignalSpy hovered(view.get(), &HeatMapView::cellHovered);
    ASSERT_GT(view->level(), 0);
    QPointF position = view->pixelOfCell(1000, 300);
    QTest::mouseMove(view->plot(), position.toPoint());
    ASSERT_TRUE(waitFor([&] { return hovered.count() >= 2; }));
    EXPECT_FLOAT_EQ(hovered.first().at(2).toFloat(), 0.25F) << "the maximum of the bin";
    EXPECT_FALSE(hovered.first().at(3).toBool());
    selection.setCell(1000, 300);
    ASSERT_TRUE(waitFor([&] { return hovered.last().at(3).toBool() && hovered.last().at(1).toLongLong() == 300; }));
    EXPECT_FLOAT_EQ(hovered.last().at(2).toFloat(), 0.1234567F);
    EXPECT_TRUE(view->accessibleDescription().contains(QStringLiteral("query 1000 \" w1000\", key 300 \" w300\"")))
        << qPrintable(view->accessibleDescription());
}

TEST_F(HeatMapTest, SaysThatCellsAboveTheDiagonalHaveNoValue)
{
    open(100, patterned);
    QSignalSpy hovered(view.get(), &HeatMapView::cellHovered);
    selection.setCell(10, 20);
    ASSERT_EQ(hovered.count(), 1);
    EXPECT_TRUE(std::isnan(hovered.first().at(2).toFloat()));
    EXPECT_TRUE(hovered.first().at(3).toBool());
}

TEST_F(HeatMapTest, MarksTheCellOnDarkAndLightGround)
{
    open(60, [](std::int64_t, std::int64_t key) { return key < 20 ? 1e-4F : 1.0F; });
    for (const auto& [query, key] : {std::pair{50, 5}, {50, 30}}) {
        selection.setCell(query, key);
        const QImage image = picture();
        const QRect around = QRect(pixelOf(query, key), QSize(1, 1)).adjusted(-12, -12, 12, 12);
        bool dark = false;
        bool light = false;
        for (int x = around.left(); x <= around.right(); ++x) {
            dark = dark || image.pixel(x, pixelOf(query, key).y()) == qRgb(0, 0, 0);
            light = light || image.pixel(x, pixelOf(query, key).y()) == qRgb(255, 255, 255);
        }
        EXPECT_TRUE(dark && light) << "key " << key;
    }
}

TEST_F(HeatMapTest, LoadsOnlyWhatTheLastViewNeeds)
{
    open(8000, [](std::int64_t, std::int64_t) { return 0.25F; });
    tiles->reads.clear();
    tiles->hold = true;
    for (const double begin : {1000.0, 3000.0, 5000.0, 7000.0}) {
        view->setMapWindow({begin, begin + 300, 7300, 7600});
        view->plot()->replot(QCustomPlot::rpImmediateRefresh);
    }
    tiles->deliverHeld();
    settle();
    EXPECT_GE(tiles->staleDropped, 3);
    for (const TileKey& key : tiles->reads)
        EXPECT_GE(key.column, 7000 / 256 - 1) << "level " << key.level;
}

TEST_F(HeatMapTest, KeepsItsMemoryWithinTheLimitWhateverIsLookedAt)
{
    open(6000, [](std::int64_t, std::int64_t) { return 0.25F; });
    for (int step = 0; step < 12; ++step) {
        view->setMapWindow({step * 450.0, step * 450.0 + 550, 5400, 6000});
        settle();
        ASSERT_LE(view->cacheBytes(), std::size_t{160} << 20);
    }
}

TEST_F(HeatMapTest, ADamagedRecordingIsReportedAndTheViewStaysUp)
{
    open(1000, patterned);
    tiles->damaged = [](const TileKey& key) { return key.level == 0 && key.column == 1; };
    QSignalSpy failed(view.get(), &HeatMapView::failed);
    view->setMapWindow({0, 300, 700, 1000});
    settle();
    ASSERT_GE(failed.count(), 1);
    EXPECT_TRUE(failed.first().first().toString().contains(QStringLiteral("damaged")));
    EXPECT_TRUE(view->isVisible());
    const QImage image = picture();
    EXPECT_EQ(image.pixel(pixelOf(800, 100)), colorOf(patterned(800, 100)));
    EXPECT_NE(image.pixel(pixelOf(800, 280)), view->palette().color(QPalette::Window).rgb())
        << "the coarser level stands in";
    wheel(QRectF(view->mapRect()).center(), 120);
    EXPECT_LT(view->mapWindow().keys(), 300);
}

TEST_F(HeatMapTest, SaysWhenAHeadWasNotRecorded)
{
    open(100, patterned);
    auto partial = makeSample(100);
    partial->layers[1].hasQueriesKeys = false;
    partial->layers[1].mapHeads = {2};
    QSignalSpy status(view.get(), &HeatMapView::statusText);
    view->setSample(partial, tiles);
    selection.setHead(1, 0);
    EXPECT_EQ(status.last().first().toString(), QStringLiteral("No attention was recorded for layer 1, head 0."));
    selection.setHead(1, 2);
    EXPECT_EQ(status.last().first().toString(), QString());
    selection.setHead(7, 0);
    EXPECT_EQ(status.last().first().toString(), QStringLiteral("Layer 7 was not recorded."));
    view->setSample(nullptr, std::shared_ptr<TileSource>());
    EXPECT_EQ(status.last().first().toString(), QStringLiteral("No sample is open."));
    picture();
}

TEST_F(HeatMapTest, AStatisticsRecordingShowsItsPyramid)
{
    open(1000, patterned);
    auto statistics = makeSample(1000);
    statistics->layers[0].hasQueriesKeys = false;
    statistics->layers[0].pyramidFactors = {4, 16};
    view->setSample(statistics, tiles);
    tiles->reads.clear();
    view->setMapWindow({100, 110, 500, 510});
    settle();
    EXPECT_EQ(view->level(), 2);
    EXPECT_EQ(view->poolingText(), QStringLiteral("max of 4 x 4"));
    for (const TileKey& key : tiles->reads)
        EXPECT_GE(key.level, 2);
}

TEST_F(HeatMapTest, WritesTokensOnTheAxesWhereTheyFit)
{
    open(400, patterned);
    const auto labels
        = [&](QCPAxis::AxisType type) { return view->plot()->axisRect(0)->axis(type)->tickVectorLabels(); };
    picture();
    EXPECT_TRUE(labels(QCPAxis::atLeft).contains(QStringLiteral("100")));
    view->setMapWindow({100, 115, 300, 315});
    picture();
    EXPECT_EQ(labels(QCPAxis::atLeft).size(), 15);
    EXPECT_EQ(labels(QCPAxis::atLeft).first(), QChar(0x2423) + QStringLiteral("w300"));
    EXPECT_EQ(labels(QCPAxis::atBottom).last(), QChar(0x2423) + QStringLiteral("w114"));
    const QRect map = view->mapRect();
    view->setShowTokens(false);
    picture();
    EXPECT_TRUE(labels(QCPAxis::atLeft).contains(QStringLiteral("300")));
    view->setShowTokens(true);
    picture();
    EXPECT_EQ(view->mapRect(), map);
}

TEST(TokenLabels, MakeBlanksVisibleAndStayShort)
{
    EXPECT_EQ(tokenLabel(QStringLiteral(" the")), QStringLiteral("\u2423the"));
    EXPECT_EQ(tokenLabel(QStringLiteral("\n\n")), QStringLiteral("\u21B5\u21B5"));
    EXPECT_EQ(tokenLabel(QStringLiteral("internationalisation"), 8), QStringLiteral("interna\u2026"));
    EXPECT_EQ(tokenLabel(QStringLiteral("abc\U0001F600def"), 5), QStringLiteral("abc\u2026")) << "no half character";
}

TEST_F(HeatMapTest, FollowsThePalette)
{
    open(64, patterned);
    QPalette dark;
    dark.setColor(QPalette::Window, QColor(20, 22, 25));
    dark.setColor(QPalette::WindowText, Qt::white);
    view->setPalette(dark);
    QApplication::processEvents();
    const QImage image = picture();
    EXPECT_EQ(image.pixel(2, 2), QColor(20, 22, 25).rgb());
    EXPECT_EQ(image.pixel(pixelOf(5, 50)), QColor(20, 22, 25).rgb());
}

TEST_F(HeatMapTest, RendersAFigureWithTextAsTextAndTheMapInFullDetail)
{
    open(1200, [](std::int64_t, std::int64_t key) { return key == 777 ? 1.0F : 1e-4F; });
    const QString path = temporaryPath(QStringLiteral("figure.svg"));
    {
        QSvgGenerator generator;
        generator.setFileName(path);
        generator.setSize({500, 400});
        generator.setViewBox(QRect(0, 0, 500, 400));
        QCPPainter painter;
        painter.begin(&generator);
        painter.setMode(QCPPainter::pmVectorized);
        view->renderTo(painter, {500, 400}, 4.0);
        painter.end();
    }
    QFile file(path);
    ASSERT_TRUE(file.open(QIODevice::ReadOnly));
    const QByteArray svg = file.readAll();
    EXPECT_TRUE(svg.contains(">query</text>")) << svg.left(2000).constData();
    EXPECT_TRUE(svg.contains(">key</text>"));
    const auto at = svg.indexOf("data:image/png;base64,");
    ASSERT_GE(at, 0);
    // The screen goes on as before.
    EXPECT_EQ(view->plot()->viewport(), view->plot()->rect());
    const QImage image = picture();
    EXPECT_EQ(image.pixel(pixelOf(1100, 777)), colorOf(1.0F));

    // As pixels: 4 pixels per unit show single cells.
    QImage page(2000, 1600, QImage::Format_ARGB32_Premultiplied);
    page.fill(Qt::white);
    QCPPainter painter;
    painter.begin(&page);
    painter.scale(4, 4);
    view->renderTo(painter, {500, 400}, 4.0);
    painter.end();
    const QRgb bright = colorOf(1.0F);
    int lit = 0;
    for (int x = 0; x < page.width(); ++x)
        lit += page.pixel(x, 1000) == bright ? 1 : 0;
    EXPECT_GE(lit, 1);
    EXPECT_LE(lit, 3) << "one cell is 1.3 pixels wide";
}

TEST_F(HeatMapTest, AFigureOfADamagedMapIsAnError)
{
    open(1200, patterned);
    tiles->damaged = [](const TileKey& key) { return key.level <= 1; };
    QImage page(1600, 1600, QImage::Format_ARGB32_Premultiplied);
    QCPPainter painter;
    painter.begin(&page);
    painter.scale(4, 4);
    EXPECT_THROW(view->renderTo(painter, {400, 400}, 4.0), std::runtime_error);
    painter.end();
    picture();
}

TEST_F(HeatMapTest, ThePartOnTheScreenNeedNotBeAWholeNumberOfDevicePixels)
{
    open(700, [](std::int64_t, std::int64_t key) { return key % 7 == 3 ? 1.0F : 1e-4F; });
    view->plot()->setBufferDevicePixelRatio(1.25);
    view->resize(733, 571);
    settle();
    view->plot()->replot(QCustomPlot::rpImmediateRefresh);
    QImage page(
        static_cast<int>(733 * 1.25) + 1, static_cast<int>(571 * 1.25) + 1, QImage::Format_ARGB32_Premultiplied);
    page.setDevicePixelRatio(1.25);
    page.fill(Qt::white);
    QCPPainter painter;
    painter.begin(&page);
    view->plot()->toPainter(&painter, 733, 571);
    painter.end();
    // Columns of sinks lie at the same distance: their runs of pixels number one per seven tokens.
    const int y = static_cast<int>((view->mapRect().bottom() - 2) * 1.25);
    const int end = static_cast<int>(view->pixelOfCell(0, 692).x() * 1.25); // before the diagonal
    const QRgb bright = colorOf(1.0F);
    int runs = 0;
    for (int x = 1; x < end; ++x)
        runs += page.pixel(x, y) == bright && page.pixel(x - 1, y) != bright ? 1 : 0;
    EXPECT_EQ(runs, 99);
}

} // namespace
} // namespace kvloupe
