// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/jobs/program_query.h"

#include "views/jobs/job_output.h"

#include <QProcess>

#include <csignal>
#include <sys/prctl.h>

namespace kvloupe {

ProgramQuery::~ProgramQuery()
{
    cancel();
}

void ProgramQuery::ask(const QString& program, const QStringList& arguments)
{
    cancel();
    auto* process = new QProcess(this);
    m_process = process;
    process->setStandardInputFile(QProcess::nullDevice());
    process->setChildProcessModifier([] { ::prctl(PR_SET_PDEATHSIG, SIGKILL); });
    const auto collect = [this, process] {
        m_output += process->readAllStandardOutput();
        m_errors += process->readAllStandardError();
        m_errors = m_errors.right(LineReader::longestLine);
        if (m_output.size() > longestAnswer)
            process->kill();
    };
    connect(process, &QProcess::readyReadStandardOutput, this, collect);
    connect(process, &QProcess::readyReadStandardError, this, collect);
    connect(process, &QProcess::finished, this, [this, process] { adopt(process); });
    connect(process, &QProcess::errorOccurred, this, [this, process](QProcess::ProcessError error) {
        if (error == QProcess::FailedToStart)
            adopt(process);
    });
    process->start(program, arguments);
}

void ProgramQuery::cancel()
{
    m_output.clear();
    m_errors.clear();
    QProcess* process = std::exchange(m_process, nullptr);
    if (process == nullptr)
        return;
    // It takes a moment to die, which nobody has to wait for.
    process->disconnect(this);
    process->setParent(nullptr);
    connect(process, &QProcess::finished, process, &QObject::deleteLater);
    process->kill();
}

void ProgramQuery::adopt(QProcess* process)
{
    m_process = nullptr;
    process->deleteLater();
    if (process->error() == QProcess::FailedToStart) {
        emit failed(tr("%1 could not be started: %2").arg(process->program(), process->errorString()));
        return;
    }
    m_output += process->readAllStandardOutput();
    m_errors += process->readAllStandardError();
    if (process->exitStatus() == QProcess::NormalExit && process->exitCode() == 0 && m_output.size() <= longestAnswer) {
        emit answered(m_output);
        return;
    }
    MessageLog log;
    for (const QByteArray& line : m_errors.split('\n'))
        log.add(messageOfLine(line));
    emit failed(log.lastError().isEmpty() ? tr("%1 ended without an answer").arg(process->program()) : log.lastError());
}

} // namespace kvloupe
