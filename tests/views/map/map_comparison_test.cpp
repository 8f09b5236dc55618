// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/map/map_comparison.h"

#include "tests/views/window_models.h"
#include "views/heatmap/heat_map_view.h"
#include "views/heatmap/plot.h"

#include <QAction>
#include <QSignalSpy>
#include <QTest>
#include <QToolButton>

namespace kvloupe {
namespace {

class MapComparisonTest : public WindowModelsTest {
protected:
    MapComparisonTest() { allowSlowEvents(); } // one core for window, reader and methods

    void SetUp() override
    {
        WindowModelsTest::SetUp();
        QObject::connect(&m_recording, &OpenRecording::sampleChanged, &m_view, [this] {
            m_view.setSample(m_recording.sample(), m_recording.source());
            m_bar.restart();
        });
        showAndWait(m_view, 600, 500);
        openAndWait({.sample = {}, .layer = 0, .head = 1});
    }

    /// Waits for the exact value of the cell in view.
    float exactValue(std::int64_t query, std::int64_t key)
    {
        QSignalSpy known(&m_view, &HeatMapView::cellFactsKnown);
        m_selection.setCell(-1, -1);
        m_selection.setCell(query, key);
        EXPECT_TRUE(waitFor([&] { return known.count() > 0; }));
        return known.isEmpty() ? NAN : known.last().at(2).value<CellFacts>().value;
    }

    float recorded(int layer, int head, std::int64_t query, std::int64_t key)
    {
        const Recording recording = Recording::open(path());
        return AttentionTiles(recording).cell(0, layer, head, query, key);
    }

    HeatMapView m_view{&m_selection};
    MapComparison m_bar{&m_view, m_models};
};

TEST_F(MapComparisonTest, ComparesWithAHeadAndFlipsWithSpace)
{
    m_bar.menuActions()[0]->trigger();
    ASSERT_TRUE(waitFor([this] { return m_bar.isActive(); }));
    EXPECT_EQ(m_bar.side(), MapComparison::Side::A) << "a head and itself differ nowhere";
    m_selection.setHead(1, 2);
    EXPECT_EQ(m_view.content(), MapContent::Attention);
    EXPECT_FLOAT_EQ(exactValue(150, 7), recorded(1, 2, 150, 7));
    QTest::keyClick(&m_view, Qt::Key_Space);
    EXPECT_EQ(m_bar.side(), MapComparison::Side::B);
    EXPECT_FLOAT_EQ(exactValue(150, 7), recorded(0, 1, 150, 7));
    QTest::keyClick(&m_view, Qt::Key_Space);
    EXPECT_EQ(m_view.content(), MapContent::Difference);
    EXPECT_FLOAT_EQ(exactValue(150, 7), recorded(1, 2, 150, 7) - recorded(0, 1, 150, 7));
    EXPECT_FLOAT_EQ(exactValue(205, 7), recorded(1, 2, 205, 7) - recorded(0, 1, 205, 7)) << "a generated row";
    ASSERT_TRUE(m_view.ensureLoaded());
    const float shown = m_view.shownValue(150, 7);
    EXPECT_NEAR(shown, recorded(1, 2, 150, 7) - recorded(0, 1, 150, 7), 1e-3F);
    EXPECT_TRUE(m_view.accessibleDescription().contains(QStringLiteral("difference")))
        << qPrintable(m_view.accessibleDescription());
    m_bar.menuActions()[3]->trigger();
    EXPECT_FALSE(m_bar.isActive());
    EXPECT_EQ(m_view.content(), MapContent::Attention);
    QTest::keyClick(&m_view, Qt::Key_Space);
    EXPECT_EQ(m_view.content(), MapContent::Attention) << "nothing to flip";
}

TEST_F(MapComparisonTest, TwoRecordingsOfOnePromptAreSubtracted)
{
    SyntheticRecording options = small();
    options.headDim = 32; // the same text, other vectors
    options.generatedTokens = 0;
    const std::filesystem::path other = temporaryPath(QStringLiteral("other.h5")).toStdString();
    makeRecording(other, options);
    m_bar.start({other, std::nullopt});
    ASSERT_TRUE(waitFor([this] { return m_bar.isActive(); }));
    EXPECT_EQ(m_bar.side(), MapComparison::Side::Difference);
    EXPECT_EQ(m_view.mapWindow().keyEnd, 200) << "what was generated is not compared";
    const Recording second = Recording::open(other);
    AttentionTiles tiles(second);
    EXPECT_FLOAT_EQ(exactValue(150, 7), recorded(0, 1, 150, 7) - tiles.cell(0, 0, 1, 150, 7));
    ASSERT_TRUE(m_view.ensureLoaded());
    // Brown and blue of the picture lie around white: 0 is the middle of the colours.
    m_view.plot()->replot(QCustomPlot::rpImmediateRefresh);
    const QImage picture = m_view.plot()->grab().toImage();
    bool brown = false;
    bool blue = false;
    const QRect map = m_view.mapRect();
    for (int y = map.top(); y < map.bottom(); y += 2) {
        for (int x = map.left(); x < map.left() + (y - map.top()); x += 2) {
            const QColor color = picture.pixelColor(x, y);
            brown = brown || color.red() > color.blue() + 60;
            blue = blue || color.blue() > color.red() + 60;
        }
    }
    EXPECT_TRUE(brown);
    EXPECT_TRUE(blue);
}

TEST_F(MapComparisonTest, AnotherPromptIsRefusedWithTheFirstTokenThatDiffers)
{
    SyntheticRecording options = small();
    options.promptTokens = 190;
    const std::filesystem::path other = temporaryPath(QStringLiteral("other.h5")).toStdString();
    makeRecording(other, options);
    QSignalSpy problem(&m_bar, &MapComparison::problem);
    m_bar.start({other, std::nullopt});
    ASSERT_TRUE(waitFor([&] { return problem.count() == 1; }));
    const QString message = problem.first().first().toString();
    EXPECT_TRUE(message.contains(QStringLiteral("not the same prompt"))) << qPrintable(message);
    EXPECT_TRUE(message.contains(QStringLiteral("token"))) << qPrintable(message);
    EXPECT_FALSE(m_bar.isActive());
    m_bar.start({temporaryPath(QStringLiteral("absent.h5")).toStdString(), std::nullopt});
    ASSERT_TRUE(waitFor([&] { return problem.count() == 2; }));
    EXPECT_TRUE(problem.last().first().toString().contains(QStringLiteral("absent.h5")));
}

TEST_F(MapComparisonTest, EndsWithTheRecording)
{
    m_bar.start({{}, std::pair(1, 0)});
    ASSERT_TRUE(waitFor([this] { return m_bar.isActive(); }));
    m_recording.close();
    EXPECT_FALSE(m_bar.isActive());
    EXPECT_EQ(m_view.content(), MapContent::Attention);
}

} // namespace
} // namespace kvloupe
