// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/map/map_grid.h"

#include "tests/views/window_models.h"
#include "views/heatmap/heat_map_view.h"
#include "views/heatmap/plot.h"
#include "views/map/map_pane.h"
#include "views/timeline/timeline_model.h"

#include <QAction>
#include <QComboBox>
#include <QSignalSpy>
#include <QTest>
#include <QToolButton>

namespace kvloupe {
namespace {

SyntheticRecording twoSamples()
{
    SyntheticRecording options;
    options.headDim = 16;
    options.promptTokens = 200;
    options.generatedTokens = 8;
    options.kind = RecordKind::QueriesKeys;
    options.samples = 2;
    return options;
}

class MapGridTest : public WindowModelsTest {
protected:
    MapGridTest()
        : WindowModelsTest(twoSamples())
    {
        allowSlowEvents();
    }

    void SetUp() override
    {
        WindowModelsTest::SetUp();
        m_methods.fromSpecs({QStringLiteral("streaming_llm"), QStringLiteral("random")});
        m_grid = std::make_unique<MapGrid>(m_active, m_models, &m_timeline);
        QObject::connect(&m_recording, &OpenRecording::sampleChanged, m_grid.get(), [this] {
            m_active->setSample(m_recording.sample(), m_recording.source());
            m_grid->showSample();
        });
        showAndWait(*m_grid, 900, 700);
        openAndWait({.sample = {}, .layer = 0, .head = 1});
    }

    void TearDown() override
    {
        m_recording.close();
        m_grid.reset();
        WindowModelsTest::TearDown();
    }

    void load()
    {
        ASSERT_TRUE(m_active->ensureLoaded());
        for (MapPane* pane : m_grid->panes())
            ASSERT_TRUE(pane->heatMap()->ensureLoaded());
    }

    TimelineModel m_timeline{m_models};
    HeatMapView* m_active = new HeatMapView(&m_selection);
    std::unique_ptr<MapGrid> m_grid;
};

TEST_F(MapGridTest, PinnedMapsKeepTheirHeadWhileTheOneInViewFollowsTheSelection)
{
    m_grid->menuActions()[1]->trigger();
    ASSERT_EQ(m_grid->count(), 2);
    MapPane* pane = m_grid->panes()[0];
    EXPECT_TRUE(pane->isVisible());
    EXPECT_EQ(pane->title(), QStringLiteral("layer 0 head 1"));
    m_selection.setHead(1, 3);
    EXPECT_EQ(pane->title(), QStringLiteral("layer 0 head 1"));
    load();
    EXPECT_NE(pane->heatMap()->shownValue(150, 3), m_active->shownValue(150, 3));
    const auto buttons = pane->findChildren<QToolButton*>();
    const auto swap = std::ranges::find(buttons, QStringLiteral("Swap"), &QToolButton::text);
    ASSERT_NE(swap, buttons.end());
    QTest::mouseClick(*swap, Qt::LeftButton);
    EXPECT_EQ(m_selection.layer(), 0);
    EXPECT_EQ(m_selection.head(), 1);
    EXPECT_EQ(pane->title(), QStringLiteral("layer 1 head 3"));
    QTest::keyClick(pane->heatMap(), Qt::Key_BracketLeft);
    EXPECT_EQ(pane->title(), QStringLiteral("layer 1 head 2")) << "its keys change its own head";
    EXPECT_EQ(m_selection.head(), 1);
}

TEST_F(MapGridTest, PansZoomsAndPointsTogether)
{
    m_grid->menuActions()[2]->trigger();
    ASSERT_EQ(m_grid->count(), 4);
    load();
    HeatMapView* third = m_grid->panes()[2]->heatMap();
    QTest::keyClick(third, Qt::Key_Plus);
    EXPECT_LT(third->mapWindow().keys(), 208);
    EXPECT_EQ(m_active->mapWindow(), third->mapWindow());
    EXPECT_EQ(m_grid->panes()[0]->heatMap()->mapWindow(), third->mapWindow());
    const QPointF middle = third->pixelOfCell(110, 95);
    QTest::mouseMove(third->plot(), QPoint(static_cast<int>(middle.x()), static_cast<int>(middle.y())));
    EXPECT_EQ(m_selection.query(), 110);
    EXPECT_EQ(m_grid->panes()[1]->selection()->key(), 95);
    m_selection.setCell(120, 90);
    EXPECT_EQ(m_grid->panes()[2]->selection()->query(), 120);
    m_grid->setCount(1);
    EXPECT_TRUE(m_grid->panes().empty());
    EXPECT_TRUE(m_grid->menuActions()[0]->isChecked());
}

TEST_F(MapGridTest, AllMapsShareOneCache)
{
    m_grid->setCount(4);
    for (int pane = 0; pane < 3; ++pane)
        m_grid->panes()[static_cast<std::size_t>(pane)]->selection()->setHead(1, pane);
    load();
    for (const MapPane* pane : m_grid->panes())
        EXPECT_EQ(pane->heatMap()->tileCache(), m_active->tileCache());
    EXPECT_LE(m_active->cacheBytes(), m_active->tileCache()->limitBytes());
}

TEST_F(MapGridTest, OwnRangesEndAtTheLargestValue)
{
    m_grid->setCount(2);
    load();
    HeatMapView* map = m_grid->panes()[0]->heatMap();
    EXPECT_EQ(map->mapStyle(), m_active->mapStyle());
    m_grid->menuActions()[3]->setChecked(false);
    ASSERT_TRUE(map->largestValue());
    EXPECT_FLOAT_EQ(static_cast<float>(map->mapStyle().range.high), *map->largestValue());
    m_grid->menuActions()[3]->setChecked(true);
    EXPECT_EQ(map->mapStyle(), m_active->mapStyle());
}

TEST_F(MapGridTest, ShowsAnotherSampleAndAnotherRecording)
{
    SyntheticRecording options = twoSamples();
    options.headDim = 32;
    options.samples = 1;
    const std::filesystem::path other = temporaryPath(QStringLiteral("other.h5")).toStdString();
    makeRecording(other, options);
    m_grid->setCount(2);
    MapPane* pane = m_grid->panes()[0];
    pane->showSample(1);
    ASSERT_TRUE(waitFor([&] { return pane->title() == QStringLiteral("layer 0 head 1, sample 1"); }))
        << qPrintable(pane->title());
    load();
    const Recording second = Recording::open(other);
    AttentionTiles tiles(second);
    pane->showRecording(other);
    ASSERT_TRUE(waitFor([&] { return pane->heatMap()->isLoaded(); }));
    EXPECT_EQ(pane->title(), QStringLiteral("layer 0 head 1, other.h5"));
    EXPECT_NEAR(pane->heatMap()->shownValue(150, 3), tiles.cell(0, 0, 1, 150, 3), 1e-3F);
    QSignalSpy failed(m_grid.get(), &MapGrid::failed);
    pane->showRecording(temporaryPath(QStringLiteral("absent.h5")).toStdString());
    ASSERT_TRUE(waitFor([&] { return failed.count() > 0; }));
    pane->showWindowSample();
    EXPECT_EQ(pane->title(), QStringLiteral("layer 0 head 1"));
    load();
}

TEST_F(MapGridTest, EachPinnedMapHasAMethodOfItsOwn)
{
    m_grid->setCount(2);
    auto* methods = m_grid->panes()[0]->findChild<QComboBox*>();
    ASSERT_TRUE(methods);
    ASSERT_EQ(methods->count(), 3);
    EXPECT_EQ(methods->currentIndex(), 0);
    methods->setFocus();
    QTest::keyClick(methods, Qt::Key_Down);
    QTest::keyClick(methods, Qt::Key_Down);
    EXPECT_EQ(methods->currentIndex(), 2);
    load();
    m_methods.remove(1);
    EXPECT_EQ(methods->count(), 2);
    EXPECT_EQ(methods->currentIndex(), 0);
}

} // namespace
} // namespace kvloupe
