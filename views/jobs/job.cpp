// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/jobs/job.h"

#include "core/progress/interrupt.h"
#include "core/progress/progress.h"
#include "views/jobs/command_line.h"

#include <csignal>
#include <cstring>
#include <sys/prctl.h>
#include <unistd.h>

namespace kvloupe {

namespace {

constexpr int graceMilliseconds = 10'000;
constexpr int lastGraceMilliseconds = 3'000; ///< of a child whose window is gone
constexpr double estimateSeconds = 0.5; ///< of a stage, before its pace says anything

QString duration(double seconds)
{
    return QString::fromStdString(durationText(seconds));
}

} // namespace

QString jobStateText(JobState state)
{
    switch (state) {
    case JobState::Waiting:
        return Job::tr("waiting");
    case JobState::Running:
        return Job::tr("running");
    case JobState::Paused:
        return Job::tr("paused");
    case JobState::Done:
        return Job::tr("done");
    case JobState::Failed:
        return Job::tr("failed");
    case JobState::Interrupted:
        break;
    }
    return Job::tr("stopped");
}

Job::Job(JobRequest request, QObject* parent)
    : QObject(parent)
    , m_request(std::move(request))
{
    m_grace.setSingleShot(true);
    m_grace.setInterval(graceMilliseconds);
    m_process.setProcessChannelMode(QProcess::SeparateChannels);
    m_process.setStandardInputFile(QProcess::nullDevice());
    // Runs between fork and exec: nothing but system calls.
    m_process.setChildProcessModifier([] {
        ::setpgid(0, 0);
        ::signal(SIGINT, SIG_DFL); // ignored where the window was started in the background of a shell
        ::prctl(PR_SET_PDEATHSIG, SIGINT);
    });
    connect(&m_process, &QProcess::readyReadStandardError, this, &Job::readProgress);
    connect(&m_process, &QProcess::readyReadStandardOutput, this, &Job::readOutput);
    connect(&m_process, &QProcess::finished, this, &Job::end);
    connect(&m_process, &QProcess::errorOccurred, this, [this](QProcess::ProcessError error) {
        if (error == QProcess::FailedToStart)
            finish(
                JobState::Failed, tr("%1 could not be started: %2").arg(m_process.program(), m_process.errorString()));
    });
    connect(&m_grace, &QTimer::timeout, this, &Job::stateChanged);
}

Job::~Job()
{
    disconnect(&m_process, nullptr, this, nullptr);
    if (m_process.state() == QProcess::NotRunning)
        return;
    signalGroup(SIGINT);
    signalGroup(SIGCONT);
    if (m_process.waitForFinished(lastGraceMilliseconds))
        return;
    signalGroup(SIGKILL);
    m_process.waitForFinished(lastGraceMilliseconds);
}

QString Job::commandLine() const
{
    return kvloupeCommandLine(m_request.arguments);
}

void Job::start(const QString& program)
{
    if (m_state != JobState::Waiting)
        return;
    setState(JobState::Running);
    m_running.start();
    m_process.start(program, m_request.arguments + QStringList{QStringLiteral("--progress"), QStringLiteral("json")});
    // Whoever is first, the child or this line: signals find the group.
    if (const auto child = static_cast<pid_t>(m_process.processId()); child > 0)
        ::setpgid(child, child);
}

void Job::pause()
{
    if (m_state != JobState::Running || m_stop != Stop::None || !signalGroup(SIGSTOP))
        return;
    m_workedBefore += m_running.elapsed();
    m_running.invalidate();
    setState(JobState::Paused);
}

void Job::resume()
{
    if (m_state != JobState::Paused || !signalGroup(SIGCONT))
        return;
    m_running.start();
    setState(JobState::Running);
}

bool Job::canStop() const
{
    return m_state == JobState::Waiting || (isActive() && m_stop != Stop::Killed && !m_grace.isActive());
}

void Job::stop()
{
    if (!canStop())
        return;
    if (m_state == JobState::Waiting) {
        finish(JobState::Interrupted, tr("It was taken off the list before it began"));
        return;
    }
    switch (m_stop) {
    case Stop::None:
        m_stop = Stop::Asked;
        signalGroup(SIGINT);
        break;
    case Stop::Asked:
        m_stop = Stop::Ended;
        signalGroup(SIGTERM);
        break;
    case Stop::Ended:
    case Stop::Killed:
        m_stop = Stop::Killed;
        signalGroup(SIGKILL);
        break;
    }
    m_grace.start();
    resume(); // a stopped process sees no signal
    emit stateChanged();
}

double Job::elapsedSeconds() const
{
    return static_cast<double>(m_workedBefore + (m_running.isValid() ? m_running.elapsed() : 0)) / 1000.0;
}

std::optional<double> Job::remainingSeconds() const
{
    if (!m_progress || !isActive())
        return std::nullopt;
    const double spent = elapsedSeconds() - m_stageBegan;
    if (m_progress->done <= 0.0 || spent < estimateSeconds)
        return std::nullopt;
    return spent * (m_progress->total - m_progress->done) / m_progress->done;
}

QString Job::statusText() const
{
    if (m_state == JobState::Waiting)
        return tr("Waiting for the job before it");
    if (m_state == JobState::Done)
        return tr("Done after %1").arg(duration(elapsedSeconds()));
    if (m_state == JobState::Failed)
        return tr("Failed: %1").arg(m_problem);
    if (m_state == JobState::Interrupted)
        return tr("Stopped: %1").arg(m_problem);
    QStringList parts;
    if (m_state == JobState::Paused)
        parts << tr("Paused");
    else if (m_stop != Stop::None)
        parts << tr("Stopping at the next safe place");
    if (m_progress) {
        parts << tr("%1: %2 %").arg(m_progress->stage).arg(static_cast<int>(100.0 * m_progress->fraction()));
    } else if (parts.isEmpty()) {
        parts << tr("Starting");
    }
    parts << duration(elapsedSeconds());
    if (const auto remaining = remainingSeconds(); remaining && m_progress->done < m_progress->total)
        parts << tr("%1 left of this step").arg(duration(*remaining));
    return parts.join(QStringLiteral(", "));
}

void Job::readProgress()
{
    adoptLines(m_errorLines.feed(m_process.readAllStandardError()));
}

void Job::readOutput()
{
    adoptLines(m_outputLines.feed(m_process.readAllStandardOutput()));
}

void Job::adoptLines(const QList<QByteArray>& lines)
{
    bool moved = false;
    for (const QByteArray& line : lines) {
        if (std::optional<JobProgress> progress = progressOfLine(line)) {
            if (!m_progress || m_progress->stage != progress->stage || progress->done < m_progress->done)
                m_stageBegan = elapsedSeconds();
            m_progress = std::move(progress);
            moved = true;
            continue;
        }
        const QString message = messageOfLine(line);
        m_log.add(message);
        emit messageAdded(message);
    }
    if (moved)
        emit progressChanged();
}

void Job::end(int exitCode, QProcess::ExitStatus status)
{
    readProgress();
    readOutput();
    adoptLines(m_errorLines.finish() + m_outputLines.finish());
    if (status == QProcess::NormalExit && exitCode == 0) {
        finish(JobState::Done, {});
        return;
    }
    if (m_stop == Stop::Killed || (m_stop != Stop::None && status == QProcess::CrashExit)) {
        finish(JobState::Interrupted, tr("It was ended at once; what was complete before is kept"));
        return;
    }
    if (status == QProcess::NormalExit && exitCode == interruptedStatus) {
        finish(JobState::Interrupted, tr("What was complete before is kept"));
        return;
    }
    if (status == QProcess::CrashExit) {
        // QProcess gives the signal as the exit code then.
        finish(JobState::Failed,
            exitCode == SIGKILL
                ? tr("It was killed by the system or another program; often memory ran out")
                : tr("It crashed (signal %1, %2)").arg(exitCode).arg(QString::fromLocal8Bit(strsignal(exitCode))));
        return;
    }
    const QString error = m_log.lastError();
    finish(JobState::Failed,
        !error.isEmpty() ? error
            : m_log.messages().isEmpty()
            ? tr("It ended with status %1 and said nothing").arg(exitCode)
            : tr("It ended with status %1; its last line: %2").arg(exitCode).arg(m_log.messages().back()));
}

void Job::finish(JobState state, const QString& problem)
{
    m_grace.stop();
    if (m_running.isValid())
        m_workedBefore += m_running.elapsed();
    m_running.invalidate();
    m_problem = problem;
    setState(state);
    emit finished();
}

void Job::setState(JobState state)
{
    m_state = state;
    emit stateChanged();
}

bool Job::signalGroup(int signal)
{
    // Before exec the child would take a signal for its parent's.
    if (m_process.state() == QProcess::Starting)
        m_process.waitForStarted(lastGraceMilliseconds);
    const qint64 child = m_process.processId();
    return child > 0 && ::kill(-static_cast<pid_t>(child), signal) == 0;
}

} // namespace kvloupe
