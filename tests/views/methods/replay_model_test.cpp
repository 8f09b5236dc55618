// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/methods/method_registry.h"
#include "core/replay/replay.h"
#include "tests/support/make_recording.h"
#include "tests/views/widget_test.h"
#include "views/methods/methods_panel.h"
#include "views/methods/replay_model.h"

#include <QCheckBox>
#include <QDoubleSpinBox>
#include <QLabel>
#include <QLineEdit>
#include <QSignalSpy>
#include <QSlider>
#include <QTest>
#include <QTreeView>

namespace kvloupe {
namespace {

class ReplayModelTest : public WidgetTest {
protected:
    void SetUp() override
    {
        expectMessage(QStringLiteral("This plugin does not support")); // the offscreen platform's own remarks
        makeRecording(path(),
            {.layers = 3,
                .heads = 4,
                .kvHeads = 2,
                .headDim = 16,
                .promptTokens = 200,
                .kind = RecordKind::QueriesKeys});
        m_methods.fromSpecs({QStringLiteral("streaming_llm"), QStringLiteral("h2o"), QStringLiteral("snapkv"),
            QStringLiteral("-random"), QStringLiteral("-full")});
    }

    std::filesystem::path path() const { return temporaryPath(QStringLiteral("r.h5")).toStdString(); }

    void load()
    {
        m_source = std::make_unique<RecordingSource>(path());
        m_source->run<SampleModelPtr>(
            &m_methods, RecordingSource::Priority::Immediate,
            [](RecordingAccess& access) { return readSampleModel(access.recording, 0); },
            [this](SampleModelPtr sample) { m_sample = std::move(sample); });
        ASSERT_TRUE(waitFor([this] { return m_sample != nullptr; }));
        m_replay.setHead(1, 3);
        m_replay.setSample(m_source.get(), m_sample);
        ASSERT_TRUE(waitFor([this] { return m_replay.isComplete(); }));
    }

    /// What core's own replay keeps of the same head.
    std::vector<std::int32_t> expected(const std::string& spec, const Budget& budget, int layer, int head) const
    {
        const Recording recording = Recording::open(path());
        const Method method = parseMethod(spec);
        const auto scored = Replay(recording).score(0, std::span(&method, 1));
        return scored.at(0).choose(budget).kept.at(layer).sets.at(static_cast<std::size_t>(head / 2));
    }

    MethodModel m_methods;
    std::unique_ptr<RecordingSource> m_source;
    ReplayModel m_replay{&m_methods};
    SampleModelPtr m_sample;
};

TEST_F(ReplayModelTest, KeepsWhatTheReplayOfCoreKeeps)
{
    load();
    for (const int permille : {1, 50, 333, 700, 1000}) {
        m_replay.setKeepPermille(permille);
        for (int row = 0; row < 3; ++row) {
            for (int layer = 0; layer < 3; ++layer) {
                for (int head = 0; head < 4; ++head) {
                    const auto kept = m_replay.keptPositions(row, layer, head);
                    ASSERT_TRUE(kept);
                    const std::string spec = m_methods.entries()[static_cast<std::size_t>(row)].method.spec;
                    EXPECT_EQ(std::vector<std::int32_t>(kept->begin(), kept->end()),
                        expected(spec, m_replay.budget(), layer, head))
                        << spec << " at " << permille << " layer " << layer << " head " << head;
                }
            }
        }
    }
}

TEST_F(ReplayModelTest, BudgetsAreExactDecimals)
{
    for (const auto& [permille, text] :
        std::vector<std::pair<int, std::string>>{{1, "0.001"}, {70, "0.070"}, {290, "0.290"}, {1000, "1"}}) {
        m_replay.setKeepPermille(permille);
        EXPECT_EQ(m_replay.budget().text(), text);
    }
}

TEST_F(ReplayModelTest, ReadsNothingWhenTheBudgetMoves)
{
    load();
    // With the recording closed, whatever the slider needs must be in memory.
    m_source.reset();
    QSignalSpy changed(&m_replay, &ReplayModel::changed);
    m_replay.setKeepPermille(500);
    EXPECT_EQ(changed.count(), 1);
    EXPECT_EQ(m_replay.keptPositions(0, 2, 0)->size(), 100U);
}

TEST_F(ReplayModelTest, ScoresAMethodOnceItIsShown)
{
    load();
    EXPECT_FALSE(m_replay.keptPositions(3, 1, 0)) << "a hidden method costs nothing";
    m_methods.setShown(3, true);
    ASSERT_TRUE(waitFor([this] { return m_replay.keptPositions(3, 1, 0).has_value(); }));
    ASSERT_TRUE(waitFor([this] { return m_replay.isComplete(); }));
}

TEST_F(ReplayModelTest, SaysHowMuchAttentionIsKept)
{
    load();
    m_replay.setKeepPermille(1000);
    const auto outcome = m_methods.entries()[2].outcome;
    ASSERT_TRUE(outcome);
    EXPECT_EQ(outcome->keptTokens, 200);
    ASSERT_TRUE(outcome->retainedMass);
    EXPECT_NEAR(*outcome->retainedMass, 1.0, 1e-4);
    m_replay.setKeepPermille(100);
    EXPECT_EQ(m_methods.entries()[2].outcome->keptTokens, 20);
    EXPECT_LT(*m_methods.entries()[2].outcome->retainedMass, 1.0);
}

TEST_F(ReplayModelTest, ExplainsWhatARecordingDoesNotHold)
{
    makeRecording(path(),
        {.layers = 2, .heads = 4, .kvHeads = 2, .headDim = 16, .promptTokens = 200, .kind = RecordKind::Statistics});
    m_methods.fromSpecs({QStringLiteral("h2o"), QStringLiteral("snapkv:window=190")});
    load();
    EXPECT_TRUE(m_replay.keptPositions(0, 0, 0)) << "column sums are there";
    EXPECT_FALSE(m_replay.keptPositions(1, 0, 0));
    EXPECT_FALSE(m_methods.entries()[1].problem.isEmpty());
}

TEST_F(ReplayModelTest, SurvivesANewSampleWhileItWorks)
{
    load();
    for (int round = 0; round < 20; ++round) {
        m_replay.setSample(m_source.get(), m_sample);
        m_replay.setHead(round % 3, round % 4);
        QCoreApplication::processEvents();
    }
    ASSERT_TRUE(waitFor([this] { return m_replay.isComplete(); }));
    EXPECT_TRUE(m_replay.keptPositions(0, 0, 0));
}

TEST_F(ReplayModelTest, TheSliderMovesTheBudget)
{
    load();
    MethodsPanel panel(&m_methods, &m_replay);
    showAndWait(panel, 420, 400);
    panel.keepSlider()->setFocus();
    QTest::keyClick(panel.keepSlider(), Qt::Key_Home);
    EXPECT_EQ(m_replay.keepPermille(), 10);
    QTest::keyClick(panel.keepSlider(), Qt::Key_Right);
    EXPECT_EQ(m_replay.keepPermille(), 20);
    QTest::keyClick(panel.keepSlider(), Qt::Key_End);
    EXPECT_EQ(m_replay.keepPermille(), 1000);
    EXPECT_EQ(
        panel.findChild<QLabel*>(QStringLiteral("keepTokens"))->text(), QStringLiteral("200 of 200 tokens per head"));
    auto* percent = panel.findChild<QDoubleSpinBox*>(QStringLiteral("keepPercent"));
    percent->setFocus();
    percent->selectAll();
    QTest::keyClicks(percent, QStringLiteral("12.5"));
    QTest::keyClick(percent, Qt::Key_Return);
    EXPECT_EQ(m_replay.keepPermille(), 125);
    EXPECT_EQ(panel.keepSlider()->value(), 13);
    EXPECT_EQ(m_replay.keepPermille(), 125) << "showing a rounded value on the slider does not round the budget";
}

TEST_F(ReplayModelTest, SpaceShowsAndHidesAMethod)
{
    MethodsPanel panel(&m_methods, &m_replay);
    showAndWait(panel, 420, 400);
    panel.table()->setFocus();
    panel.table()->setCurrentIndex(m_methods.index(1, 0));
    EXPECT_EQ(m_methods.current(), 1);
    QTest::keyClick(panel.table(), Qt::Key_Space);
    EXPECT_FALSE(m_methods.entries()[1].shown);
}

TEST_F(ReplayModelTest, AClickOnTheBoxShowsAMethod)
{
    MethodsPanel panel(&m_methods, &m_replay);
    showAndWait(panel, 520, 400);
    const QRect row = panel.table()->visualRect(m_methods.index(3, 0));
    QTest::mouseClick(panel.table()->viewport(), Qt::LeftButton, {}, QPoint(row.left() + 9, row.center().y()));
    EXPECT_TRUE(m_methods.entries()[3].shown);
}

TEST_F(ReplayModelTest, SaysUnderTheLineWhatIsWrongWithASpec)
{
    MethodsPanel panel(&m_methods, &m_replay);
    showAndWait(panel, 420, 400);
    auto* problem = panel.findChild<QLabel*>(QStringLiteral("specProblem"));
    QTest::keyClicks(panel.specLine(), QStringLiteral("snapkv:windw=3"));
    QTest::keyClick(panel.specLine(), Qt::Key_Return);
    EXPECT_TRUE(problem->isVisible());
    EXPECT_TRUE(problem->text().contains(QStringLiteral("windw"))) << qPrintable(problem->text());
    EXPECT_EQ(panel.specLine()->text(), QStringLiteral("snapkv:windw=3")) << "what was typed stays to be corrected";
    panel.specLine()->clear();
    QTest::keyClicks(panel.specLine(), QStringLiteral("snapkv:window=3"));
    EXPECT_FALSE(problem->isVisible());
    QTest::keyClick(panel.specLine(), Qt::Key_Return);
    EXPECT_EQ(m_methods.rowCount(), 6);
    EXPECT_EQ(m_methods.current(), 5);
    panel.table()->setFocus();
    QTest::keyClick(panel.table(), Qt::Key_Delete);
    EXPECT_EQ(m_methods.rowCount(), 5);
}

} // namespace
} // namespace kvloupe
