// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/recording/recording.h"
#include "tests/support/make_recording.h"
#include "tests/views/jobs/fake_program.h"
#include "tests/views/results/written_results.h"
#include "tests/views/widget_test.h"
#include "views/chart/chart_view.h"
#include "views/jobs/job_desk.h"
#include "views/jobs/proposal_dialog.h"
#include "views/methods/method_model.h"
#include "views/results/results_view.h"
#include "views/selection/selection.h"
#include "views/session/error_bar.h"
#include "views/session/main_window.h"
#include "views/session/sample_finder.h"
#include "views/sparsity/sparsity_view.h"

#include <QDragEnterEvent>
#include <QDropEvent>
#include <QFileInfo>
#include <QListWidget>
#include <QMimeData>
#include <QPushButton>
#include <QSignalSpy>
#include <QTableView>
#include <QTest>
#include <QTimer>
#include <QUrl>

#include <gmock/gmock.h>

namespace kvloupe {
namespace {

using testing::HasSubstr;

class WindowResultsTest : public WidgetTest {
protected:
    void SetUp() override
    {
        expectMessage(QStringLiteral("This plugin does not support")); // the offscreen platform's own remarks
        makeRecording(
            recording(), {.layers = 2, .heads = 4, .kvHeads = 2, .headDim = 16, .promptTokens = 200, .samples = 2});
    }

    std::filesystem::path recording() const { return temporaryPath(QStringLiteral("r.h5")).toStdString(); }
    std::filesystem::path results() const { return temporaryPath(QStringLiteral("r.jsonl")).toStdString(); }

    /// Results of the recording's prompts, on its model or on another.
    void writeResultsOfRecording(const std::string& modelSha256 = {})
    {
        const Recording file = Recording::open(recording());
        RunHeader header = madeHeader();
        header.model.fileSha256 = modelSha256.empty() ? file.model().fileSha256 : modelSha256;
        ResultStore store(results(), header, ResultStoreMode::Replace);
        for (int sample = 0; sample < 3; ++sample) {
            std::vector<ResultRow> rows = judgedSample(header, sample);
            for (ResultRow& row : rows)
                if (sample < 2)
                    row.prompt.sha256 = file.sample(sample).promptSha256;
            store.append(rows);
        }
    }

    void openBoth(MainWindow& window)
    {
        showAndWait(window, 1300, 900);
        window.open(recording());
        window.open(results());
        ASSERT_TRUE(waitFor([&] { return window.isReady(); })) << qPrintable(window.lastProblem());
        QApplication::processEvents();
    }

    /// Chooses a sample of H2O at 10 % with the mouse.
    static void chooseSample(MainWindow& window, int row)
    {
        ResultsView* view = window.resultsView();
        QTest::mouseClick(
            view->chartView(), Qt::LeftButton, {}, view->chartView()->pixelOf(ChartTarget{0, 2, 0, -1, -1}));
        QApplication::processEvents();
        ASSERT_GT(view->table()->model()->rowCount(), row);
        QTest::mouseClick(view->table()->viewport(), Qt::LeftButton, {},
            view->table()->visualRect(view->table()->model()->index(row, 0)).center());
    }

    Settings m_settings{&settings()};
};

TEST_F(WindowResultsTest, AResultsFileOpensInItsDockBesideTheRecording)
{
    writeResultsOfRecording();
    MainWindow window(&m_settings);
    EXPECT_FALSE(window.resultsView()->isVisible());
    openBoth(window);
    EXPECT_TRUE(window.resultsView()->isVisible());
    EXPECT_EQ(window.recordingPath(), recording()) << "the recording stays";
    EXPECT_EQ(window.resultsView()->chartView()->chart().panels.size(), 1U);
    EXPECT_EQ(m_settings.recentFiles().size(), 2);
}

TEST_F(WindowResultsTest, ASampleOfResultsLeadsToItsPromptMethodAndBudget)
{
    writeResultsOfRecording();
    MainWindow window(&m_settings);
    openBoth(window);
    chooseSample(window, 1);
    EXPECT_EQ(window.selection()->sample(), 1);
    EXPECT_EQ(window.selection()->keepPermille(), 100);
    EXPECT_EQ(window.selection()->method(), "h2o");
    EXPECT_FALSE(window.errorBar()->isVisible());
    ASSERT_TRUE(waitFor([&] { return window.isReady(); }));
}

TEST_F(WindowResultsTest, ASampleThatWasNotRecordedCanBeRecordedAfterAQuestion)
{
    writeResultsOfRecording();
    MainWindow window(&m_settings);
    openBoth(window);
    chooseSample(window, 2);
    ASSERT_TRUE(window.errorBar()->isVisible());
    EXPECT_EQ(window.selection()->sample(), 0);
    auto* offer = window.errorBar()->findChild<QPushButton*>(QStringLiteral("errorOffer"));
    ASSERT_TRUE(offer->isVisible());
    QStringList arguments;
    QTimer::singleShot(100, &window, [&arguments] {
        QWidget* dialog = QApplication::activeModalWidget();
        ASSERT_NE(dialog, nullptr);
        const auto* list = dialog->findChild<QListWidget*>();
        for (int row = 0; list && row < list->count(); ++row)
            arguments << list->item(row)->text();
        QTest::keyClick(dialog, Qt::Key_Escape);
    });
    QTest::mouseClick(offer, Qt::LeftButton);
    EXPECT_THAT(arguments.join(u' ').toStdString(),
        HasSubstr("capture made-135m --generate 64 --suite fundamental --task ar --samples"));
    EXPECT_EQ(window.jobDesk()->jobs()->count(), 0) << "nothing starts without consent";
    EXPECT_FALSE(window.errorBar()->isVisible());
}

TEST_F(WindowResultsTest, ASampleThatIsRecordedIsLandedOn)
{
    writeResultsOfRecording();
    const QString script = writeFakeProgram(temporaryPath(QStringLiteral("kvloupe")), R"(
while [ $# -gt 0 ]; do [ "$1" = --out ] && out=$2; shift; done
cp "$(dirname "$0")/r.h5" "$out"
)");
    m_settings.setJobFolder(QFileInfo(script).absolutePath());
    MainWindow window(&m_settings);
    window.jobDesk()->setProgram({script, {}});
    showAndWait(window, 1300, 900);
    window.open(results());
    ASSERT_TRUE(waitFor([&] { return window.isReady(); })) << qPrintable(window.lastProblem());
    QApplication::processEvents();
    chooseSample(window, 1);
    QTimer::singleShot(100, &window, [] {
        auto* dialog = qobject_cast<ProposalDialog*>(QApplication::activeModalWidget());
        ASSERT_NE(dialog, nullptr);
        QTest::mouseClick(dialog->recordButton(), Qt::LeftButton);
    });
    QTest::mouseClick(window.errorBar()->findChild<QPushButton*>(QStringLiteral("errorOffer")), Qt::LeftButton);
    ASSERT_TRUE(waitFor([&] { return window.recording()->sample() && window.selection()->sample() == 1; }))
        << qPrintable(window.lastProblem());
    EXPECT_EQ(window.recordingPath().filename(), "ar.h5");
    EXPECT_EQ(window.selection()->method(), "h2o");
    EXPECT_EQ(window.selection()->keepPermille(), 100);
    EXPECT_EQ(window.jobDesk()->jobs()->job(0)->state(), JobState::Done);
    ASSERT_TRUE(waitFor([&] { return window.isReady(); }));
}

TEST(AnswerSpan, IsTheNeedleElseTheFirstEvidence)
{
    const Span question{80, 100, SpanKind::Question, -1, {}};
    const Span evidence{10, 20, SpanKind::Evidence, -1, {}};
    const Span later{30, 40, SpanKind::Evidence, -1, {}};
    const Span needle{50, 60, SpanKind::Needle, -1, {}};
    EXPECT_EQ(answerSpan(PromptLayout(100, 100, {question})), std::nullopt);
    EXPECT_EQ(answerSpan(PromptLayout(100, 100, {evidence, later, question})), (TokenRange{10, 20}));
    EXPECT_EQ(answerSpan(PromptLayout(100, 100, {evidence, needle, question})), (TokenRange{50, 60}));
}

TEST_F(WindowResultsTest, AnotherModelsResultsAreNotMistakenForTheRecordings)
{
    writeResultsOfRecording(std::string(64, 'e'));
    MainWindow window(&m_settings);
    openBoth(window);
    chooseSample(window, 1);
    EXPECT_EQ(window.selection()->sample(), 0);
    EXPECT_TRUE(window.errorBar()->isVisible());
}

TEST_F(WindowResultsTest, FilesOfBothKindsMayBeDroppedTogether)
{
    writeResultsOfRecording();
    MainWindow window(&m_settings);
    showAndWait(window, 1300, 900);
    QMimeData data;
    data.setUrls({QUrl::fromLocalFile(temporaryPath(QStringLiteral("r.jsonl"))),
        QUrl::fromLocalFile(temporaryPath(QStringLiteral("r.h5")))});
    QDragEnterEvent enter(QPoint(300, 300), Qt::CopyAction, &data, Qt::LeftButton, {});
    QApplication::sendEvent(&window, &enter);
    EXPECT_TRUE(enter.isAccepted());
    QDropEvent dropped(QPointF(300, 300), Qt::CopyAction, &data, Qt::LeftButton, {});
    QApplication::sendEvent(&window, &dropped);
    ASSERT_TRUE(waitFor([&] { return window.isReady(); })) << qPrintable(window.lastProblem());
    EXPECT_EQ(window.recordingPath(), recording());
    EXPECT_EQ(window.resultsView()->model()->files().size(), 1U);
}

TEST_F(WindowResultsTest, SparsityFollowsTheSelectionAndLeadsToHeads)
{
    writeResultsOfRecording();
    MainWindow window(&m_settings);
    openBoth(window);
    SparsityView* view = window.sparsityView();
    EXPECT_EQ(view->model()->data(), nullptr) << "nothing is measured that nobody sees";
    QTest::keyClick(&window, Qt::Key_9, Qt::AltModifier);
    ASSERT_TRUE(waitFor([&] { return view->model()->data() != nullptr; }));
    QApplication::processEvents();
    window.selection()->setHead(1, 3);
    EXPECT_EQ(view->chartView()->current(), (ChartTarget{0, -1, -1, 1, 3}));
    view->chartView()->setFocus();
    QTest::keyClick(view->chartView(), Qt::Key_Left);
    QTest::keyClick(view->chartView(), Qt::Key_Return);
    EXPECT_EQ(window.selection()->head(), 2);
    window.selection()->setSample(1);
    EXPECT_EQ(view->model()->data(), nullptr);
    ASSERT_TRUE(waitFor([&] { return view->model()->data() != nullptr && window.isReady(); }));
    EXPECT_EQ(view->model()->request().sample, "1");
}

} // namespace
} // namespace kvloupe
