// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/jobs/job_output.h"

#include <QElapsedTimer>
#include <QObject>
#include <QProcess>
#include <QTimer>

#include <filesystem>
#include <optional>

namespace kvloupe {

/// What a job is to run and what comes of it.
struct JobRequest {
    QString title; ///< for people
    QStringList arguments; ///< after `kvloupe`: a command and its options, never seen by a shell
    std::filesystem::path result; ///< the file that it writes, which can be opened before it is complete; empty = none
};

enum class JobState { Waiting, Running, Paused, Done, Failed, Interrupted };

/// A command of kvloupe as a child process: how far it is, pause and continue, stop.
///
/// The child leads a process group of its own, so that signals reach what it starts, and is asked to stop if the window
/// dies. What it writes is hostile until checked: lines are bounded, and those that are no progress are messages.
class Job final : public QObject {
    Q_OBJECT

public:
    /// How hard the child was asked to end; each is offered when the one before was in vain for `graceMilliseconds`.
    enum class Stop { None, Asked, Ended, Killed };

    explicit Job(JobRequest request, QObject* parent = nullptr);
    /// A child that still runs is asked to stop, and killed if it does not soon.
    ~Job() override;

    const JobRequest& request() const { return m_request; }
    /// As one would type it: `kvloupe capture ...`.
    QString commandLine() const;

    /// Starts `program`, once, with the arguments and `--progress json`.
    void start(const QString& program);
    void pause();
    void resume(); ///< continues after pause()
    /// Asks the child to stop at a safe place (SIGINT); once canStop() again, ends it (SIGTERM), then kills it.
    void stop();
    bool canStop() const;
    Stop stopStep() const { return m_stop; }
    /// Before the start; children differ in how long they take to a safe place.
    void setGrace(int milliseconds) { m_grace.setInterval(milliseconds); }

    JobState state() const { return m_state; }
    bool isActive() const { return m_state == JobState::Running || m_state == JobState::Paused; }
    bool isFinished() const { return !isActive() && m_state != JobState::Waiting; }
    const std::optional<JobProgress>& progress() const { return m_progress; }
    /// Seconds of work, without pauses.
    double elapsedSeconds() const;
    /// Seconds of work that are left of the stage, by its pace so far; nothing until that can be told.
    std::optional<double> remainingSeconds() const;
    const MessageLog& log() const { return m_log; }
    /// Why it failed or was interrupted, one line; empty otherwise.
    const QString& problem() const { return m_problem; }
    /// One line: state, stage, share, times.
    QString statusText() const;

signals:
    void stateChanged();
    void progressChanged();
    void messageAdded(const QString& message);
    void finished();

private:
    void readProgress();
    void readOutput();
    void adoptLines(const QList<QByteArray>& lines);
    void end(int exitCode, QProcess::ExitStatus status);
    void finish(JobState state, const QString& problem);
    void setState(JobState state);
    bool signalGroup(int signal); ///< false: there is no such child any more

    JobRequest m_request;
    QProcess m_process;
    QTimer m_grace;
    JobState m_state = JobState::Waiting;
    Stop m_stop = Stop::None;
    std::optional<JobProgress> m_progress;
    LineReader m_errorLines;
    LineReader m_outputLines;
    MessageLog m_log;
    QString m_problem;
    QElapsedTimer m_running; ///< valid while the child works
    qint64 m_workedBefore = 0; ///< milliseconds until the last pause
    double m_stageBegan = 0.0; ///< elapsedSeconds() then
};

/// "waiting", "running", "paused", ... for people.
QString jobStateText(JobState state);

} // namespace kvloupe
