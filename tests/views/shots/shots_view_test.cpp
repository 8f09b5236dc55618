// SPDX-License-Identifier: GPL-3.0-or-later

#include "tests/views/window_models.h"
#include "views/session/session.h"
#include "views/shots/shot_bar.h"
#include "views/shots/shots_view.h"

#include <QAbstractItemModelTester>
#include <QAction>
#include <QComboBox>
#include <QLineEdit>
#include <QSignalSpy>
#include <QTableView>
#include <QTest>
#include <QToolBar>

namespace kvloupe {
namespace {

class ShotsViewTest : public WindowModelsTest {
protected:
    ShotsViewTest()
    {
        m_methods.fromSpecs({QStringLiteral("shotkv"), QStringLiteral("streaming_llm"), QStringLiteral("-h2o")});
    }

    void click(ShotsView& view, const char* action)
    {
        auto* tools = view.findChild<QToolBar*>();
        QWidget* button = tools->widgetForAction(view.findChild<QAction*>(QString::fromUtf8(action)));
        QTest::mouseClick(button, Qt::LeftButton);
    }

    Shots shots() const
    {
        const auto all = m_recording.sample()->layout.shots();
        return {all.begin(), all.end()};
    }

    Session m_session{&m_recording};
};

TEST_F(ShotsViewTest, ShowsWhatEachMethodLeavesOfEachShot)
{
    ShotsView view(m_models, &m_session);
    QAbstractItemModelTester tester(view.model(), QAbstractItemModelTester::FailureReportingMode::Warning);
    showAndWait(view, 700, 400);
    openAndWait();
    m_selection.setKeepPermille(500);
    ASSERT_TRUE(waitFor([this] { return m_replay.isSettled(); }));
    const QStringList lines = view.model()->text().split(QLatin1Char('\n'));
    ASSERT_EQ(lines.size(), static_cast<qsizetype>(shots().size()) + 2) << qPrintable(view.model()->text());
    EXPECT_EQ(lines.front(), QStringLiteral("Shot | Begin | End | ShotKV | StreamingLLM"));
    EXPECT_TRUE(lines.back().contains(QStringLiteral("| 0.0 of %1 broken |").arg(shots().size())))
        << "ShotKV keeps whole shots: " << qPrintable(lines.back());
    EXPECT_FALSE(lines.back().endsWith(QStringLiteral("| 0.0 of %1 broken").arg(shots().size())))
        << "StreamingLLM cuts through one: " << qPrintable(lines.back());
    m_selection.setKeepPermille(1000);
    ASSERT_TRUE(waitFor([this] { return m_replay.isSettled(); }));
    EXPECT_EQ(view.model()->text().count(QStringLiteral("100 %, broken in 0 %")), 2 * std::ssize(shots()));
}

TEST_F(ShotsViewTest, TheHeadInViewAnswersAloneIfAsked)
{
    ShotsView view(m_models, &m_session);
    showAndWait(view, 700, 400);
    openAndWait();
    auto* scope = view.findChild<QComboBox*>(QStringLiteral("shotScope"));
    scope->setFocus();
    QTest::keyClick(scope, Qt::Key_Up);
    EXPECT_EQ(view.model()->scope(), ShotsModel::Scope::Head);
    EXPECT_EQ(view.model()->methods()[1].votes.heads, 1);
    EXPECT_FALSE(view.model()->text().contains(QStringLiteral("broken in")));
}

TEST_F(ShotsViewTest, CountsBrokenShotsAsTheMeasuresDo)
{
    // Two heads over shots of four tokens each: one head keeps half of the first, the other all of it.
    const std::vector<KeepSet> layers{{Granularity::KvHead, {{0, 1}, {0, 1, 2, 3, 7}}}};
    const std::vector<LayerInfo> infos(1);
    const Shots pair{{0, 4}, {4, 8}};
    const std::vector<ShotFate> fates = shotFates(layers, infos, pair, 10);
    EXPECT_DOUBLE_EQ(fates[0].kept, 0.75);
    EXPECT_DOUBLE_EQ(fates[0].broken, 0.5);
    EXPECT_DOUBLE_EQ(fates[0].dropped, 0.0);
    EXPECT_DOUBLE_EQ(fates[1].kept, 0.125);
    EXPECT_DOUBLE_EQ(fates[1].broken, 0.5);
    EXPECT_DOUBLE_EQ(fates[1].dropped, 0.5);
    std::vector<LayerInfo> sliding = infos;
    sliding.front().window = 5;
    EXPECT_EQ(shotFates(layers, sliding, pair, 10)[0].heads, 0) << "the first shot is in no cache";
}

TEST_F(ShotsViewTest, ABorderIsDraggedUndoneAndSaved)
{
    ShotsView view(m_models, &m_session);
    showAndWait(view, 700, 400);
    openAndWait();
    const Shots before = shots();
    ASSERT_GE(before.size(), 2U);
    const int y = view.bar()->height() / 2;
    const QPoint from(static_cast<int>(view.bar()->xOf(before[0].end)), y);
    const QPoint to(static_cast<int>(view.bar()->xOf(before[0].end - 5)), y);
    QTest::mousePress(view.bar(), Qt::LeftButton, {}, from);
    QTest::mouseMove(view.bar(), to);
    EXPECT_EQ(shots(), before) << "nothing changes before the button is released";
    QTest::mouseRelease(view.bar(), Qt::LeftButton, {}, to);
    const Shots after = shots();
    EXPECT_NEAR(static_cast<double>(after[0].end), static_cast<double>(before[0].end - 5), 1.0);
    EXPECT_EQ(after[0].end, after[1].begin);
    EXPECT_EQ(m_session.undoStack()->undoText(), QStringLiteral("Move Border"));
    m_session.undoStack()->undo();
    EXPECT_EQ(shots(), before);
    m_session.undoStack()->redo();
    EXPECT_EQ(shots(), after);
    m_session.saveNow();

    openAndWait();
    EXPECT_EQ(shots(), after) << "the session is found again";
    EXPECT_TRUE(m_session.hasOwnShots());
    EXPECT_FALSE(m_session.undoStack()->canUndo());
    click(view, "resetShots");
    EXPECT_EQ(shots(), before);
}

TEST_F(ShotsViewTest, EscapeGivesADragUp)
{
    ShotsView view(m_models, &m_session);
    showAndWait(view, 700, 400);
    openAndWait();
    const Shots before = shots();
    const QPoint from(static_cast<int>(view.bar()->xOf(before[0].end)), 20);
    QTest::mousePress(view.bar(), Qt::LeftButton, {}, from);
    QTest::mouseMove(view.bar(), from - QPoint(40, 0));
    QTest::keyClick(view.bar(), Qt::Key_Escape);
    QTest::mouseRelease(view.bar(), Qt::LeftButton, {}, from - QPoint(40, 0));
    EXPECT_EQ(shots(), before);
}

TEST_F(ShotsViewTest, ADragOfAShotThatWentMovesNothing)
{
    ShotsView view(m_models, &m_session);
    showAndWait(view, 700, 400);
    openAndWait();
    const QPoint from(static_cast<int>(view.bar()->xOf(shots().back().end)), 20);
    QTest::mousePress(view.bar(), Qt::LeftButton, {}, from);
    m_session.setShots({{5, 50}}, QStringLiteral("one"));
    QTest::mouseMove(view.bar(), from - QPoint(40, 0));
    QTest::mouseRelease(view.bar(), Qt::LeftButton, {}, from - QPoint(40, 0));
    EXPECT_EQ(shots(), (Shots{{5, 50}}));
}

TEST_F(ShotsViewTest, BordersMoveByKeyboard)
{
    ShotsView view(m_models, &m_session);
    showAndWait(view, 700, 400);
    openAndWait();
    const Shots before = shots();
    view.bar()->setFocus();
    QTest::keyClick(view.bar(), Qt::Key_Down); // the first border
    QTest::keyClick(view.bar(), Qt::Key_Down); // the end of the first shot
    QTest::keyClick(view.bar(), Qt::Key_Left);
    EXPECT_EQ(shots()[0].end, before[0].end - 1);
    QTest::keyClick(view.bar(), Qt::Key_Right, Qt::ShiftModifier);
    EXPECT_EQ(shots()[0].end, before[0].end + 9);
    EXPECT_TRUE(view.bar()->accessibleDescription().contains(QString::number(before[0].end + 9)));
}

TEST_F(ShotsViewTest, ShotsAreSplitJoinedRemovedAddedAndTyped)
{
    ShotsView view(m_models, &m_session);
    showAndWait(view, 700, 400);
    openAndWait();
    const Shots before = shots();
    const std::int64_t middle = (before[0].begin + before[0].end) / 2;
    m_selection.setCell(199, middle);
    click(view, "splitShot");
    ASSERT_EQ(shots().size(), before.size() + 1);
    EXPECT_EQ(shots()[0].end, middle);
    view.table()->selectRow(0);
    click(view, "joinShots");
    EXPECT_EQ(shots(), before);
    view.table()->selectRow(0);
    click(view, "removeShot");
    EXPECT_EQ(shots().size(), before.size() - 1);
    m_selection.setRange(before[0]);
    click(view, "addShot");
    EXPECT_EQ(shots(), before);

    view.table()->setCurrentIndex(view.model()->index(0, ShotsModel::BeginColumn));
    view.table()->edit(view.model()->index(0, ShotsModel::BeginColumn));
    auto* editor = view.table()->viewport()->findChild<QWidget*>(QStringLiteral("qt_spinbox_lineedit"));
    ASSERT_TRUE(editor);
    QTest::keyClick(editor, Qt::Key_A, Qt::ControlModifier);
    QTest::keyClicks(editor, QString::number(before[0].begin + 2));
    QTest::keyClick(editor, Qt::Key_Return);
    EXPECT_TRUE(waitFor([&] { return shots()[0].begin == before[0].begin + 2; }));
}

TEST_F(ShotsViewTest, SaysWhatDoesNotFit)
{
    ShotsView view(m_models, &m_session);
    showAndWait(view, 700, 400);
    openAndWait();
    const Shots before = shots();
    QSignalSpy failed(&m_session, &Session::failed);
    view.model()->setData(view.model()->index(0, ShotsModel::EndColumn), 9999);
    ASSERT_EQ(failed.count(), 1);
    EXPECT_TRUE(failed.front().front().toString().contains(QStringLiteral("9999")));
    EXPECT_EQ(shots(), before);
}

TEST_F(ShotsViewTest, ShotKvFollowsTheBorders)
{
    openAndWait();
    m_selection.setKeepPermille(400);
    ASSERT_TRUE(waitFor([this] { return m_replay.isSettled(); }));
    const auto before = *m_replay.keptEverywhere(0);
    m_session.setShots({{20, 90}, {90, 160}}, QStringLiteral("two"));
    ASSERT_TRUE(waitFor([this] { return m_replay.isSettled(); }));
    EXPECT_NE(*m_replay.keptEverywhere(0), before) << "methods see the corrected shots";
}

TEST_F(ShotsViewTest, ComparesThreeGranularities)
{
    ShotsView view(m_models, &m_session);
    showAndWait(view, 900, 400);
    openAndWait();
    click(view, "compareGranularities");
    ASSERT_TRUE(waitFor([this] { return m_replay.isSettled(); }));
    EXPECT_TRUE(view.model()->text().startsWith(
        QStringLiteral("Shot | Begin | End | ShotKV | StreamingLLM | ChunkKV | SnapKV\n")))
        << qPrintable(view.model()->text());
}

TEST_F(ShotsViewTest, AClickOnAShotMarksItsText)
{
    ShotsView view(m_models, &m_session);
    showAndWait(view, 700, 400);
    openAndWait();
    const TokenRange shot = shots()[1];
    const double x = (view.bar()->xOf(shot.begin) + view.bar()->xOf(shot.end)) / 2.0;
    QTest::mouseClick(view.bar(), Qt::LeftButton, {}, QPoint(static_cast<int>(x), 10));
    EXPECT_EQ(m_selection.range(), shot);
    EXPECT_EQ(view.table()->currentIndex().row(), 1);
}

} // namespace
} // namespace kvloupe
