// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/jobs/job.h"

#include "tests/views/jobs/fake_program.h"
#include "tests/views/widget_test.h"
#include "views/jobs/job_list.h"
#include "views/jobs/kvloupe_program.h"

#include <QAbstractItemModelTester>
#include <QDir>
#include <QSignalSpy>
#include <QTest>

#include <gmock/gmock.h>

#include <csignal>

namespace kvloupe {
namespace {

using testing::HasSubstr;

/// Says how far it is every 20 ms until it is told to stop, which it does at once.
constexpr char workingScript[] = R"(trap 'echo interrupted >&2; exit 130' INT
n=0
while true; do
    n=$((n + 1))
    echo "{\"event\":\"progress\",\"stage\":\"recording\",\"done\":$n,\"total\":10000,\"elapsed\":1,\"remaining\":null}" >&2
    sleep 0.02
done
)";

class JobTest : public WidgetTest {
protected:
    QString program(const QByteArray& script)
    {
        return writeFakeProgram(temporaryPath(QStringLiteral("kvloupe")), script);
    }

    static JobRequest request(QStringList arguments = {QStringLiteral("capture")})
    {
        return {QStringLiteral("Record a.h5"), std::move(arguments), {}};
    }

    /// Runs to the end.
    static void run(Job& job, const QString& program)
    {
        job.start(program);
        ASSERT_TRUE(waitFor([&] { return job.isFinished(); }));
    }

    static double done(const Job& job) { return job.progress() ? job.progress()->done : 0.0; }
};

TEST_F(JobTest, IsDoneWhenTheProgramEndsWell)
{
    Job job(request());
    EXPECT_EQ(job.state(), JobState::Waiting);
    QSignalSpy finished(&job, &Job::finished);
    run(job, program(R"(echo '{"event":"progress","stage":"loading","done":1,"total":4}' >&2
echo 'kvloupe: 3 prompts' >&2
echo 'a.h5: 3 samples recorded'
)"));
    EXPECT_EQ(job.state(), JobState::Done);
    EXPECT_EQ(finished.count(), 1);
    EXPECT_EQ(done(job), 1.0);
    EXPECT_THAT(job.log().messages(),
        testing::UnorderedElementsAre(
            QStringLiteral("kvloupe: 3 prompts"), QStringLiteral("a.h5: 3 samples recorded")));
    EXPECT_TRUE(job.problem().isEmpty());
}

TEST_F(JobTest, ArgumentsReachTheProgramAsTheyAre)
{
    const QStringList arguments{QStringLiteral("capture"), QStringLiteral("--prompt"),
        QStringLiteral("a b; rm $HOME `x` 'q' \"d\" *"), QString(), QStringLiteral("zwei\nZeilen é")};
    Job job(request(arguments));
    run(job, program("for a in \"$@\"; do printf '<%s>' \"$a\" | tr '\\n' '/'; done; echo\n"));
    EXPECT_EQ(job.log().messages().join(u'|'),
        QStringLiteral("<capture><--prompt><a b; rm $HOME `x` 'q' \"d\" *><><zwei/Zeilen é><--progress><json>"));
    EXPECT_THAT(job.commandLine().toStdString(),
        HasSubstr(R"(kvloupe capture --prompt 'a b; rm $HOME `x` '\''q'\'' "d" *' '')"));
}

TEST_F(JobTest, FailsWithTheErrorOfTheProgram)
{
    Job job(request());
    run(job, program("echo 'kvloupe: error: prompt.txt: it is empty, expected a prompt' >&2; echo more >&2; exit 1\n"));
    EXPECT_EQ(job.state(), JobState::Failed);
    EXPECT_EQ(job.problem(), QStringLiteral("prompt.txt: it is empty, expected a prompt"));
}

TEST_F(JobTest, FailsWithTheStatusOfAProgramThatSaysNothing)
{
    Job job(request());
    run(job, program("exit 3\n"));
    EXPECT_EQ(job.state(), JobState::Failed);
    EXPECT_THAT(job.problem().toStdString(), HasSubstr("status 3"));
}

TEST_F(JobTest, FailsWhenThereIsNoSuchProgram)
{
    Job job(request());
    run(job, temporaryPath(QStringLiteral("nothing")));
    EXPECT_EQ(job.state(), JobState::Failed);
    EXPECT_THAT(job.problem().toStdString(), HasSubstr("could not be started"));
}

TEST_F(JobTest, ACrashIsSaidAsOne)
{
    Job job(request());
    run(job, program("kill -SEGV $$\n"));
    EXPECT_EQ(job.state(), JobState::Failed);
    EXPECT_THAT(job.problem().toStdString(), HasSubstr("crashed (signal 11"));
}

TEST_F(JobTest, AKillFromOutsideIsSaidAsOne)
{
    Job job(request());
    run(job, program("kill -KILL $$\n"));
    EXPECT_EQ(job.state(), JobState::Failed);
    EXPECT_THAT(job.problem().toStdString(), HasSubstr("memory"));
}

TEST_F(JobTest, GarbageBecomesMessagesAndHarmsNothing)
{
    Job job(request());
    run(job, program(R"(head -c 300000 /dev/zero | tr '\0' 'x' >&2
echo >&2
printf '\377\376{"event":"progress"\n{"event":"progress","stage":7,"done":{},"total":[]}\n' >&2
head -c 20000 /dev/urandom >&2
echo '{"event":"progress","stage":"writing","done":1,"total":2}' >&2
i=0; while [ $i -lt 2000 ]; do echo line $i >&2; i=$((i+1)); done
)"));
    EXPECT_EQ(job.state(), JobState::Done);
    EXPECT_LE(job.log().messages().size(), MessageLog::most);
    EXPECT_EQ(job.log().messages().back(), QStringLiteral("line 1999"));
    for (const QString& message : job.log().messages())
        EXPECT_LE(message.size(), LineReader::longestLine);
}

TEST_F(JobTest, PausesAndContinuesWithoutCountingThePause)
{
    Job job(request());
    job.start(program(workingScript));
    ASSERT_TRUE(waitFor([&] { return done(job) >= 3; }));
    job.pause();
    EXPECT_EQ(job.state(), JobState::Paused);
    QTest::qWait(60); // what was on its way
    const double doneThen = done(job);
    const double elapsedThen = job.elapsedSeconds();
    QTest::qWait(300);
    EXPECT_EQ(done(job), doneThen);
    EXPECT_EQ(job.elapsedSeconds(), elapsedThen);
    EXPECT_THAT(job.statusText().toStdString(), HasSubstr("Paused"));
    job.resume();
    EXPECT_EQ(job.state(), JobState::Running);
    EXPECT_TRUE(waitFor([&] { return done(job) > doneThen; }));
    job.stop();
    EXPECT_TRUE(waitFor([&] { return job.isFinished(); }));
}

TEST_F(JobTest, StopsAtASafePlaceWhenAsked)
{
    Job job(request());
    job.start(program(workingScript));
    ASSERT_TRUE(waitFor([&] { return done(job) >= 1; }));
    EXPECT_TRUE(job.canStop());
    job.stop();
    EXPECT_FALSE(job.canStop()) << "it has time to reach a safe place";
    ASSERT_TRUE(waitFor([&] { return job.isFinished(); }));
    EXPECT_EQ(job.state(), JobState::Interrupted);
    EXPECT_EQ(job.log().messages().back(), QStringLiteral("interrupted"));
}

TEST_F(JobTest, StopsAlsoWhilePaused)
{
    Job job(request());
    job.start(program(workingScript));
    ASSERT_TRUE(waitFor([&] { return done(job) >= 1; }));
    job.pause();
    job.stop();
    ASSERT_TRUE(waitFor([&] { return job.isFinished(); }));
    EXPECT_EQ(job.state(), JobState::Interrupted);
}

TEST_F(JobTest, CanBeKilledWhenItDoesNotListen)
{
    Job job(request());
    job.setGrace(150);
    job.start(program("trap '' INT TERM\necho ready\nwhile true; do sleep 0.02; done\n"));
    ASSERT_TRUE(waitFor([&] { return !job.log().messages().isEmpty(); }));
    for (const Job::Stop step : {Job::Stop::Asked, Job::Stop::Ended, Job::Stop::Killed}) {
        job.stop();
        EXPECT_EQ(job.stopStep(), step);
        if (step != Job::Stop::Killed) {
            ASSERT_TRUE(waitFor([&] { return job.canStop(); }));
        }
    }
    ASSERT_TRUE(waitFor([&] { return job.isFinished(); }));
    EXPECT_EQ(job.state(), JobState::Interrupted);
}

TEST_F(JobTest, AChildDoesNotOutliveItsJob)
{
    const QString pidFile = temporaryPath(QStringLiteral("pid"));
    {
        Job job(request({pidFile}));
        job.start(program("echo $$ > \"$1\"\necho ready\nwhile true; do sleep 0.02; done\n"));
        ASSERT_TRUE(waitFor([&] { return !job.log().messages().isEmpty(); }));
        job.pause();
    }
    QFile file(pidFile);
    ASSERT_TRUE(file.open(QIODevice::ReadOnly));
    const int pid = file.readAll().trimmed().toInt();
    ASSERT_GT(pid, 0);
    EXPECT_NE(::kill(pid, 0), 0);
}

TEST_F(JobTest, OneJobWorksAtATimeAndTheOthersWait)
{
    JobList jobs(program("sleep 0.1; exit \"$1\"\n"));
    const QAbstractItemModelTester tester(&jobs, QAbstractItemModelTester::FailureReportingMode::Warning);
    Job* first = jobs.add(request({QStringLiteral("1")}));
    Job* second = jobs.add(request({QStringLiteral("0")}));
    Job* third = jobs.add(request({QStringLiteral("0")}));
    EXPECT_EQ(first->state(), JobState::Running);
    EXPECT_EQ(second->state(), JobState::Waiting);
    third->stop();
    EXPECT_EQ(third->state(), JobState::Interrupted);
    ASSERT_TRUE(waitFor([&] { return second->isFinished(); }));
    EXPECT_EQ(first->state(), JobState::Failed);
    EXPECT_EQ(second->state(), JobState::Done);
    EXPECT_TRUE(jobs.data(jobs.index(1)).toString().startsWith(QStringLiteral("Record a.h5: Done after")));
    jobs.removeFinished();
    EXPECT_EQ(jobs.count(), 0);
}

TEST_F(JobTest, StoppingAllLeavesNothingThatBegins)
{
    JobList jobs(program(workingScript));
    Job* first = jobs.add(request());
    Job* second = jobs.add(request());
    ASSERT_TRUE(waitFor([&] { return done(*first) >= 1; }));
    EXPECT_EQ(jobs.unfinished().size(), 2U);
    jobs.remove(first);
    EXPECT_EQ(jobs.count(), 2) << "a job that works stays on the list";
    jobs.stopAll();
    ASSERT_TRUE(waitFor([&] { return jobs.unfinished().empty(); }));
    EXPECT_EQ(first->state(), JobState::Interrupted);
    EXPECT_EQ(second->state(), JobState::Interrupted);
}

TEST_F(JobTest, AMissingProgramIsNamedWithItsPackage)
{
    const QByteArray path = qgetenv("PATH");
    qputenv("PATH", "/nowhere");
    const QString folder = QFileInfo(temporaryPath(QStringLiteral("x"))).absolutePath();
    EXPECT_THAT(findKvloupeProgram(folder).missing.toStdString(), HasSubstr("package kvloupe."));
    program("exit 0\n");
    EXPECT_THAT(findKvloupeProgram(folder).missing.toStdString(), HasSubstr("package kvloupe-run"));
    writeFakeProgram(temporaryPath(QStringLiteral("kvloupe-run")), "exit 0\n");
    EXPECT_TRUE(findKvloupeProgram(folder).canRun());
    qputenv("PATH", path);
}

} // namespace
} // namespace kvloupe
