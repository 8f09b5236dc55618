// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/recording/recording_parts.h"
#include "tests/support/make_recording.h"
#include "tests/views/jobs/fake_program.h"
#include "tests/views/widget_test.h"
#include "views/jobs/job_desk.h"
#include "views/jobs/record_dialog.h"
#include "views/jobs/recording_watch.h"
#include "views/jobs/start_page.h"
#include "views/selection/selection.h"
#include "views/session/open_recording.h"
#include "views/session/settings.h"

#include <QAbstractButton>
#include <QApplication>
#include <QDir>
#include <QListWidget>
#include <QMessageBox>
#include <QPushButton>
#include <QSignalSpy>
#include <QTest>
#include <QTimer>

namespace kvloupe {
namespace {

/// Presses a button of the next message box by its text.
void answerBox(const QString& text)
{
    QTimer::singleShot(50, qApp, [text] {
        auto* box = qobject_cast<QMessageBox*>(QApplication::activeModalWidget());
        ASSERT_NE(box, nullptr);
        for (QAbstractButton* button : box->buttons())
            if (button->text() == text)
                QTest::mouseClick(button, Qt::LeftButton);
    });
}

class JobDeskTest : public WidgetTest {
protected:
    JobDeskTest()
        : m_desk({writeFakeProgram(temporaryPath(QStringLiteral("kvloupe")), R"(trap 'exit 130' INT
for word in "$@"; do case "$word" in write=*) echo x > "${word#write=}" ;; esac; done
while true; do
    echo '{"event":"progress","stage":"recording","done":1,"total":4}' >&2
    sleep 0.03
done
)"),
                     {}},
            &m_settings, nullptr, &m_window)
    {
    }

    QWidget m_window;
    Settings m_settings{&settings()};
    JobDesk m_desk;
};

TEST_F(JobDeskTest, AWindowWithoutJobsMayClose)
{
    EXPECT_TRUE(m_desk.mayClose());
}

TEST_F(JobDeskTest, AWindowWithARunningJobAsksAndMayStay)
{
    showAndWait(m_window, 300, 200);
    Job* job = m_desk.jobs()->add({QStringLiteral("Record a.h5"), {QStringLiteral("capture")}, {}});
    answerBox(QStringLiteral("&Keep Open"));
    EXPECT_FALSE(m_desk.mayClose());
    EXPECT_EQ(job->state(), JobState::Running);
    answerBox(QStringLiteral("&Stop and Close"));
    QSignalSpy closeWanted(&m_desk, &JobDesk::closeWanted);
    ASSERT_TRUE(waitFor([&] { return job->progress().has_value(); }));
    EXPECT_FALSE(m_desk.mayClose()) << "the job is on its way to a safe place";
    ASSERT_TRUE(waitFor([&] { return closeWanted.count() == 1; }));
    EXPECT_EQ(job->state(), JobState::Interrupted);
    EXPECT_TRUE(m_desk.mayClose());
}

TEST_F(JobDeskTest, AStoppedJobIsResumedWithItsArguments)
{
    CaptureArguments arguments;
    arguments.model = QStringLiteral("m");
    arguments.prompt = QStringLiteral("--two words");
    arguments.role = QStringLiteral("base");
    arguments.out = temporaryPath(QStringLiteral("r.h5"));
    Job* job = m_desk.jobs()->add({QStringLiteral("Record r.h5"), arguments.toArguments(), {}});
    ASSERT_TRUE(waitFor([&] { return job->progress().has_value(); }));
    job->stop();
    ASSERT_TRUE(waitFor([&] { return job->isFinished(); }));
    CaptureArguments shown;
    QTimer::singleShot(100, &m_window, [&shown] {
        auto* dialog = qobject_cast<RecordDialog*>(QApplication::activeModalWidget());
        ASSERT_NE(dialog, nullptr);
        shown = dialog->captureArguments();
        QTest::mouseClick(dialog->startButton(), Qt::LeftButton);
    });
    m_desk.repeat(job);
    arguments.existing = ExistingFile::Resume;
    EXPECT_EQ(shown, arguments);
    ASSERT_EQ(m_desk.jobs()->count(), 2);
    EXPECT_EQ(m_desk.jobs()->job(1)->request().arguments, arguments.toArguments());
    m_desk.jobs()->stopAll();
    ASSERT_TRUE(waitFor([&] { return m_desk.jobs()->unfinished().empty(); }));
}

TEST_F(JobDeskTest, TheStartPageTellsOfJobsAndOpensRecentFiles)
{
    m_settings.addRecentFile(QStringLiteral("/data/old.h5"));
    StartPage page(&m_settings, m_desk.jobs(), QStringLiteral("/shipped.h5"));
    showAndWait(page, 800, 600);
    auto* jobs = page.findChild<QPushButton*>(QStringLiteral("startJobs"));
    EXPECT_FALSE(jobs->isVisible());
    m_settings.addRecentFile(QStringLiteral("/data/new.h5"));
    ASSERT_EQ(page.recentList()->count(), 2);
    QSignalSpy chosen(&page, &StartPage::fileChosen);
    QTest::mouseClick(page.recentList()->viewport(), Qt::LeftButton, {},
        page.recentList()->visualItemRect(page.recentList()->item(0)).center());
    page.recentList()->setCurrentRow(1);
    QTest::keyClick(page.recentList(), Qt::Key_Return);
    QTest::mouseClick(page.findChild<QPushButton*>(QStringLiteral("startSample")), Qt::LeftButton);
    ASSERT_EQ(chosen.count(), 3);
    EXPECT_EQ(chosen[0][0].toString(), QStringLiteral("/data/new.h5"));
    EXPECT_EQ(chosen[1][0].toString(), QStringLiteral("/data/old.h5"));
    EXPECT_EQ(chosen[2][0].toString(), QStringLiteral("/shipped.h5"));

    Job* job = m_desk.jobs()->add({QStringLiteral("Record a.h5"), {QStringLiteral("capture")}, {}});
    ASSERT_TRUE(waitFor([&] { return jobs->text().contains(QStringLiteral("Record a.h5: recording: 25 %")); }))
        << qPrintable(jobs->text());
    EXPECT_TRUE(jobs->isVisible());
    job->stop();
    ASSERT_TRUE(waitFor([&] { return job->isFinished(); }));
    EXPECT_FALSE(jobs->isVisible());
}

/// A recording of which only the first samples are complete yet.
class RecordingWatchTest : public WidgetTest {
protected:
    RecordingWatchTest()
    {
        makeRecording(m_path, made(false));
        std::filesystem::rename(partPath(partsFolder(m_path), 2), m_path.parent_path() / "later.h5");
    }

    static SyntheticRecording made(bool merge)
    {
        SyntheticRecording options;
        options.headDim = 16;
        options.promptTokens = 64;
        options.samples = 3;
        options.merge = merge;
        return options;
    }

    void complete() { std::filesystem::rename(m_path.parent_path() / "later.h5", partPath(partsFolder(m_path), 2)); }

    std::filesystem::path m_path = temporaryPath(QStringLiteral("r.h5")).toStdString();
    Selection m_selection;
    OpenRecording m_recording{&m_selection};
    RecordingWatch m_watch{&m_recording};
};

TEST_F(RecordingWatchTest, NewSamplesAreListedAndTheOneInViewStays)
{
    m_recording.open(m_path);
    ASSERT_TRUE(waitFor([&] { return m_recording.sample() != nullptr; }));
    EXPECT_EQ(m_recording.samples().size(), 2U);
    m_selection.setSample(1);
    ASSERT_TRUE(waitFor([&] { return m_recording.sample()->sample == 1; }));
    QSignalSpy changed(&m_recording, &OpenRecording::sampleChanged);
    QSignalSpy failed(&m_recording, &OpenRecording::failed);
    complete();
    ASSERT_TRUE(waitFor([&] { return m_recording.samples().size() == 3; }));
    EXPECT_EQ(changed.count(), 0);
    m_selection.setSample(2);
    ASSERT_TRUE(waitFor([&] { return m_recording.sample() && m_recording.sample()->sample == 2; }));
    EXPECT_EQ(m_selection.sample(), 2);
    EXPECT_EQ(failed.count(), 0);
    m_recording.close();
}

TEST_F(RecordingWatchTest, AFolderOfPartsBecomesTheFinishedFile)
{
    m_recording.open(partsFolder(m_path));
    ASSERT_TRUE(waitFor([&] { return m_recording.sample() != nullptr; }));
    m_selection.setSample(1);
    ASSERT_TRUE(waitFor([&] { return m_recording.sample()->sample == 1; }));
    QTest::qWait(RecordingWatch::pollMilliseconds + 300); // it was seen to grow
    std::filesystem::remove_all(partsFolder(m_path));
    makeRecording(m_path, made(true));
    ASSERT_TRUE(waitFor([&] { return m_recording.path() == m_path && m_recording.sample() != nullptr; }));
    EXPECT_EQ(m_recording.samples().size(), 3U);
    EXPECT_EQ(m_selection.sample(), 1);
    m_recording.close();
}

} // namespace
} // namespace kvloupe
