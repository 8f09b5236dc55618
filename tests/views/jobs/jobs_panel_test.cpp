// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/jobs/jobs_panel.h"

#include "tests/views/jobs/fake_program.h"
#include "tests/views/widget_test.h"
#include "views/jobs/job_list.h"

#include <QApplication>
#include <QClipboard>
#include <QLabel>
#include <QPlainTextEdit>
#include <QProgressBar>
#include <QPushButton>
#include <QSignalSpy>
#include <QTest>

#include <gmock/gmock.h>

namespace kvloupe {
namespace {

using testing::HasSubstr;

class JobsPanelTest : public WidgetTest {
protected:
    JobsPanelTest()
        : m_jobs(writeFakeProgram(temporaryPath(QStringLiteral("kvloupe")), R"(trap 'exit 130' INT
echo "kvloupe: $2" >&2
while true; do
    echo '{"event":"progress","stage":"recording","done":1,"total":4}' >&2
    sleep 0.05
done
)"))
        , m_panel(&m_jobs)
    {
    }

    Job* add(const QString& name)
    {
        return m_jobs.add({QStringLiteral("Record ") + name, {QStringLiteral("capture"), name}, name.toStdString()});
    }

    static QPushButton* button(JobRow* row, const char* name)
    {
        return row->findChild<QPushButton*>(QString::fromLatin1(name));
    }

    static void click(JobRow* row, const char* name) { QTest::mouseClick(button(row, name), Qt::LeftButton); }

    JobList m_jobs;
    JobsPanel m_panel;
};

TEST_F(JobsPanelTest, ShowsProgressAndControlsTheJob)
{
    showAndWait(m_panel, 640, 400);
    Job* job = add(QStringLiteral("a.h5"));
    JobRow* row = m_panel.rows().front();
    ASSERT_TRUE(waitFor([&] { return job->progress().has_value(); }));
    EXPECT_EQ(row->findChild<QProgressBar*>()->value(), 250);
    EXPECT_THAT(
        row->findChild<QLabel*>(QStringLiteral("jobStatus"))->text().toStdString(), HasSubstr("recording: 25 %"));
    EXPECT_FALSE(button(row, "jobRemove")->isVisible());

    click(row, "jobPause");
    EXPECT_EQ(job->state(), JobState::Paused);
    EXPECT_EQ(button(row, "jobPause")->text(), QStringLiteral("Continue"));
    button(row, "jobPause")->setFocus();
    QTest::keyClick(button(row, "jobPause"), Qt::Key_Space);
    EXPECT_EQ(job->state(), JobState::Running);

    click(row, "jobStop");
    ASSERT_TRUE(waitFor([&] { return job->isFinished(); }));
    EXPECT_FALSE(row->findChild<QProgressBar*>()->isVisible());
    EXPECT_THAT(row->findChild<QLabel*>(QStringLiteral("jobStatus"))->text().toStdString(), HasSubstr("Stopped"));
    click(row, "jobRemove");
    EXPECT_EQ(m_jobs.count(), 0);
    EXPECT_TRUE(m_panel.rows().empty());
}

TEST_F(JobsPanelTest, ShowsAndCopiesTheCommandAndItsMessages)
{
    showAndWait(m_panel, 640, 400);
    Job* job = add(QStringLiteral("two words.h5"));
    JobRow* row = m_panel.rows().front();
    ASSERT_TRUE(waitFor([&] { return job->progress().has_value(); }));
    auto* messages = row->findChild<QPlainTextEdit*>();
    EXPECT_FALSE(messages->isVisible());
    click(row, "jobDetails");
    EXPECT_TRUE(messages->isVisible());
    EXPECT_EQ(messages->toPlainText(), QStringLiteral("kvloupe: two words.h5"));
    click(row, "jobCopy");
    EXPECT_EQ(QApplication::clipboard()->text(), QStringLiteral("kvloupe capture 'two words.h5'"));
    QSignalSpy open(&m_panel, &JobsPanel::openRequested);
    click(row, "jobOpen");
    ASSERT_EQ(open.count(), 1);
    EXPECT_EQ(open[0][0].value<Job*>(), job);
}

TEST_F(JobsPanelTest, TheNewestJobIsOnTop)
{
    showAndWait(m_panel, 640, 400);
    Job* first = add(QStringLiteral("a.h5"));
    Job* second = add(QStringLiteral("b.h5"));
    EXPECT_EQ(m_panel.rows()[0]->job(), second);
    click(m_panel.rows()[0], "jobStop");
    EXPECT_TRUE(second->isFinished());
    click(m_panel.rows()[0], "jobRemove");
    ASSERT_EQ(m_panel.rows().size(), 1U);
    EXPECT_EQ(m_panel.rows()[0]->job(), first);
}

} // namespace
} // namespace kvloupe
