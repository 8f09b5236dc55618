// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/jobs/job_list.h"

#include <algorithm>

namespace kvloupe {

JobList::JobList(QString program, QObject* parent)
    : QAbstractListModel(parent)
    , m_program(std::move(program))
{
}

JobList::~JobList() = default;

Job* JobList::add(JobRequest request)
{
    auto owned = std::make_unique<Job>(std::move(request));
    Job* job = owned.get();
    const auto changed = [this, job] {
        const QModelIndex at = index(rowOf(job));
        emit dataChanged(at, at);
    };
    connect(job, &Job::stateChanged, this, changed);
    connect(job, &Job::progressChanged, this, changed);
    connect(job, &Job::finished, this, [this, job] {
        startNext();
        emit finished(job);
    });
    beginInsertRows({}, count(), count());
    m_jobs.push_back(std::move(owned));
    endInsertRows();
    startNext();
    return job;
}

void JobList::remove(Job* job)
{
    const int row = rowOf(job);
    if (row < 0 || !job->isFinished())
        return;
    beginRemoveRows({}, row, row);
    // It may be the job itself that asks.
    m_jobs[static_cast<std::size_t>(row)].release()->deleteLater();
    m_jobs.erase(m_jobs.begin() + row);
    endRemoveRows();
}

void JobList::removeFinished()
{
    for (int row = count() - 1; row >= 0; --row)
        remove(job(row));
}

std::vector<Job*> JobList::unfinished() const
{
    std::vector<Job*> result;
    for (const auto& job : m_jobs)
        if (!job->isFinished())
            result.push_back(job.get());
    return result;
}

void JobList::stopAll()
{
    // Backwards: what waits must not begin when the one before it ends.
    const std::vector<Job*> jobs = unfinished();
    for (auto job = jobs.rbegin(); job != jobs.rend(); ++job)
        (*job)->stop();
}

int JobList::rowCount(const QModelIndex& parent) const
{
    return parent.isValid() ? 0 : count();
}

QVariant JobList::data(const QModelIndex& index, int role) const
{
    if (!index.isValid() || index.row() >= count())
        return {};
    const Job* at = job(index.row());
    switch (role) {
    case Qt::DisplayRole:
        return tr("%1: %2").arg(at->request().title, at->statusText());
    case Qt::ToolTipRole:
        return at->commandLine();
    default:
        return {};
    }
}

int JobList::rowOf(const Job* job) const
{
    const auto found = std::ranges::find(m_jobs, job, &std::unique_ptr<Job>::get);
    return found == m_jobs.end() ? -1 : static_cast<int>(found - m_jobs.begin());
}

void JobList::startNext()
{
    const auto isActive = [](const auto& job) { return job->isActive(); };
    const auto next = std::ranges::find(m_jobs, JobState::Waiting, [](const auto& job) { return job->state(); });
    if (next == m_jobs.end() || std::ranges::any_of(m_jobs, isActive))
        return;
    Job* job = next->get();
    job->start(m_program);
    emit started(job);
}

} // namespace kvloupe
