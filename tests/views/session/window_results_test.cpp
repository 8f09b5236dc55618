// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/recording/recording.h"
#include "tests/support/make_recording.h"
#include "tests/views/results/written_results.h"
#include "tests/views/widget_test.h"
#include "views/chart/chart_view.h"
#include "views/methods/method_model.h"
#include "views/results/results_view.h"
#include "views/selection/selection.h"
#include "views/session/error_bar.h"
#include "views/session/main_window.h"
#include "views/session/sample_finder.h"
#include "views/sparsity/sparsity_view.h"

#include <QDragEnterEvent>
#include <QDropEvent>
#include <QLabel>
#include <QMimeData>
#include <QSignalSpy>
#include <QTableView>
#include <QTest>
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

TEST_F(WindowResultsTest, ASampleThatWasNotRecordedIsAnsweredWithTheCommandThatDoes)
{
    writeResultsOfRecording();
    MainWindow window(&m_settings);
    openBoth(window);
    chooseSample(window, 2);
    ASSERT_TRUE(window.errorBar()->isVisible());
    EXPECT_EQ(window.selection()->sample(), 0);
    QString shown;
    for (const QLabel* label : window.errorBar()->findChildren<QLabel*>())
        shown += label->text();
    EXPECT_THAT(shown.toStdString(),
        HasSubstr("kvloupe capture made-135m --suite fundamental --task ar --shots 5 --level 1 --seed "));
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

TEST(CaptureCommand, RecordsAsManyItemsAsTheSampleNeeds)
{
    ChosenSample sample;
    sample.key = {"ar", "ar:7:12", 8, 1, 7};
    sample.suite = "fundamental";
    sample.model.name = "smollm2-135m-instruct";
    EXPECT_EQ(captureCommand(sample).toStdString(),
        "kvloupe capture smollm2-135m-instruct --suite fundamental --task ar --shots 8 --level 1 --seed 7 "
        "--samples 13 --generate 64 --out recording.h5");
    sample.prompt.chat = true;
    sample.key.sample = "question 3";
    EXPECT_THAT(captureCommand(sample).toStdString(), HasSubstr("--samples 1 --chat"));
}

} // namespace
} // namespace kvloupe
