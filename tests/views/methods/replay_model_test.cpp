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
        m_selection.setHead(1, 3);
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

    Selection m_selection;
    MethodModel m_methods{&m_selection};
    std::unique_ptr<RecordingSource> m_source;
    ReplayModel m_replay{&m_methods, &m_selection};
    SampleModelPtr m_sample;
};

TEST_F(ReplayModelTest, KeepsWhatTheReplayOfCoreKeeps)
{
    load();
    for (const int permille : {1, 50, 333, 700, 1000}) {
        m_selection.setKeepPermille(permille);
        for (int row = 0; row < 3; ++row) {
            for (int layer = 0; layer < 3; ++layer) {
                for (int head = 0; head < 4; ++head) {
                    const auto kept = m_replay.keptPositions(row, layer, head);
                    ASSERT_TRUE(kept);
                    const std::string spec = m_methods.entries()[static_cast<std::size_t>(row)].method.spec;
                    EXPECT_EQ(std::vector<std::int32_t>(kept->begin(), kept->end()),
                        expected(spec, m_selection.budget(), layer, head))
                        << spec << " at " << permille << " layer " << layer << " head " << head;
                }
            }
        }
    }
}

TEST_F(ReplayModelTest, ReadsNothingWhenTheBudgetMoves)
{
    load();
    // With the recording closed, whatever the slider needs must be in memory.
    m_source.reset();
    QSignalSpy changed(&m_replay, &ReplayModel::changed);
    m_selection.setKeepPermille(500);
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
    m_selection.setKeepPermille(1000);
    const auto outcome = m_methods.entries()[2].outcome;
    ASSERT_TRUE(outcome);
    EXPECT_EQ(outcome->keptTokens, 200);
    ASSERT_TRUE(outcome->retainedMass);
    EXPECT_NEAR(*outcome->retainedMass, 1.0, 1e-4);
    m_selection.setKeepPermille(100);
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

TEST_F(ReplayModelTest, ChoosesAllLayersOnAWorker)
{
    // One method for each way to a choice: per head, over all heads of a layer, over the whole model, while pruning.
    const QStringList specs{QStringLiteral("snapkv"), QStringLiteral("adakv:scorer=snapkv"), QStringLiteral("shotkv"),
        QStringLiteral("pyramidinfer")};
    m_methods.fromSpecs(specs);
    load();
    for (const int permille : {100, 400}) {
        m_selection.setKeepPermille(permille);
        ASSERT_TRUE(waitFor([this] { return m_replay.isSettled(); }));
        const Recording recording = Recording::open(path());
        for (int row = 0; row < m_methods.rowCount(); ++row) {
            const Method& method = m_methods.entries()[static_cast<std::size_t>(row)].method;
            EXPECT_EQ(m_methods.entries()[static_cast<std::size_t>(row)].problem, QString());
            const ReplayResult wanted
                = Replay(recording).score(0, std::span(&method, 1)).at(0).choose(m_selection.budget());
            const ReplayModel::KeptLayers kept = m_replay.keptEverywhere(row);
            ASSERT_TRUE(kept) << method.spec;
            for (std::size_t layer = 0; layer < 3; ++layer) {
                EXPECT_EQ((*kept)[layer], wanted.kept.at(static_cast<int>(layer))) << method.spec << layer;
                EXPECT_EQ(*m_replay.kept(row, static_cast<int>(layer)), (*kept)[layer]) << method.spec << layer;
            }
        }
    }
}

TEST_F(ReplayModelTest, SaysWhyAPrunerCannotBeReplayed)
{
    makeRecording(path(),
        {.layers = 2, .heads = 4, .kvHeads = 2, .headDim = 16, .promptTokens = 200, .kind = RecordKind::Statistics});
    m_methods.fromSpecs({QStringLiteral("pyramidinfer")});
    load();
    EXPECT_FALSE(m_replay.keptPositions(0, 0, 0));
    EXPECT_TRUE(m_methods.entries()[0].problem.contains(QStringLiteral("--record qk")))
        << qPrintable(m_methods.entries()[0].problem);
    EXPECT_TRUE(m_replay.isSettled());
}

TEST_F(ReplayModelTest, ABudgetThatMovesOnIsNotWaitedFor)
{
    load();
    for (int permille = 1000; permille > 0; permille -= 7)
        m_selection.setKeepPermille(permille);
    const int last = m_selection.keepPermille();
    ASSERT_TRUE(waitFor([this] { return m_replay.isSettled(); }));
    EXPECT_EQ(static_cast<std::int64_t>((*m_replay.keptEverywhere(0))[0].sets[0].size()),
        Budget::keep(static_cast<double>(last) / 1000.0).tokensKept(200));
}

TEST_F(ReplayModelTest, SurvivesANewSampleWhileItWorks)
{
    load();
    for (int round = 0; round < 20; ++round) {
        m_replay.setSample(m_source.get(), m_sample);
        m_selection.setHead(round % 3, round % 4);
        QCoreApplication::processEvents();
    }
    ASSERT_TRUE(waitFor([this] { return m_replay.isComplete(); }));
    EXPECT_TRUE(m_replay.keptPositions(0, 0, 0));
}

TEST_F(ReplayModelTest, TheSliderMovesTheBudget)
{
    load();
    MethodsPanel panel(&m_methods, &m_replay, &m_selection);
    showAndWait(panel, 420, 400);
    panel.keepSlider()->setFocus();
    QTest::keyClick(panel.keepSlider(), Qt::Key_Home);
    EXPECT_EQ(m_selection.keepPermille(), 10);
    QTest::keyClick(panel.keepSlider(), Qt::Key_Right);
    EXPECT_EQ(m_selection.keepPermille(), 20);
    QTest::keyClick(panel.keepSlider(), Qt::Key_End);
    EXPECT_EQ(m_selection.keepPermille(), 1000);
    EXPECT_EQ(
        panel.findChild<QLabel*>(QStringLiteral("keepTokens"))->text(), QStringLiteral("200 of 200 tokens per head"));
    auto* percent = panel.findChild<QDoubleSpinBox*>(QStringLiteral("keepPercent"));
    percent->setFocus();
    percent->selectAll();
    QTest::keyClicks(percent, QStringLiteral("12.5"));
    QTest::keyClick(percent, Qt::Key_Return);
    EXPECT_EQ(m_selection.keepPermille(), 125);
    EXPECT_EQ(panel.keepSlider()->value(), 13);
    EXPECT_EQ(m_selection.keepPermille(), 125) << "showing a rounded value on the slider does not round the budget";
}

TEST_F(ReplayModelTest, SpaceShowsAndHidesAMethod)
{
    MethodsPanel panel(&m_methods, &m_replay, &m_selection);
    showAndWait(panel, 420, 400);
    panel.table()->setFocus();
    panel.table()->setCurrentIndex(m_methods.index(1, 0));
    EXPECT_EQ(m_methods.current(), 1);
    QTest::keyClick(panel.table(), Qt::Key_Space);
    EXPECT_FALSE(m_methods.entries()[1].shown);
}

TEST_F(ReplayModelTest, AClickOnTheBoxShowsAMethod)
{
    MethodsPanel panel(&m_methods, &m_replay, &m_selection);
    showAndWait(panel, 520, 400);
    const QRect row = panel.table()->visualRect(m_methods.index(3, 0));
    QTest::mouseClick(panel.table()->viewport(), Qt::LeftButton, {}, QPoint(row.left() + 9, row.center().y()));
    EXPECT_TRUE(m_methods.entries()[3].shown);
}

TEST_F(ReplayModelTest, SaysUnderTheLineWhatIsWrongWithASpec)
{
    MethodsPanel panel(&m_methods, &m_replay, &m_selection);
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
