// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/jobs/job.h"

#include <QAbstractListModel>

#include <memory>
#include <utility>
#include <vector>

namespace kvloupe {

/// The jobs of a window, oldest first. One works at a time, since each wants all cores and the model's memory; the
/// others wait in order. A job that is paused keeps its place.
class JobList final : public QAbstractListModel {
    Q_OBJECT

public:
    /// `program`: the kvloupe that jobs run.
    explicit JobList(QString program, QObject* parent = nullptr);
    ~JobList() override;

    void setProgram(QString program) { m_program = std::move(program); }
    Job* add(JobRequest request);
    /// Takes a finished job off the list.
    void remove(Job* job);
    void removeFinished();

    int count() const { return static_cast<int>(m_jobs.size()); }
    Job* job(int row) const { return m_jobs[static_cast<std::size_t>(row)].get(); }
    /// Those that run, are paused or wait.
    std::vector<Job*> unfinished() const;
    void stopAll();

    int rowCount(const QModelIndex& parent = {}) const override;
    QVariant data(const QModelIndex& index, int role = Qt::DisplayRole) const override;

signals:
    void started(kvloupe::Job* job);
    /// Whatever came of it; the next one has begun by then.
    void finished(kvloupe::Job* job);

private:
    int rowOf(const Job* job) const;
    void startNext();

    QString m_program;
    std::vector<std::unique_ptr<Job>> m_jobs;
};

} // namespace kvloupe
