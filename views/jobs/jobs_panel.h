// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <QFrame>
#include <QWidget>

#include <vector>

class QLabel;
class QPlainTextEdit;
class QProgressBar;
class QPushButton;
class QVBoxLayout;

namespace kvloupe {

class Job;
class JobList;

/// One job: its progress, and what can be done with it.
class JobRow final : public QFrame {
    Q_OBJECT

public:
    /// `job` outlives the row.
    explicit JobRow(Job* job, QWidget* parent = nullptr);

    Job* job() const { return m_job; }

signals:
    void openRequested();
    void repeatRequested();
    void removeRequested();

private:
    void refresh();

    Job* m_job;
    QLabel* m_title;
    QLabel* m_status;
    QProgressBar* m_bar;
    QPushButton* m_pause;
    QPushButton* m_stop;
    QPushButton* m_open;
    QPushButton* m_repeat;
    QPushButton* m_details;
    QPushButton* m_remove;
    QWidget* m_detailPanel;
    QPlainTextEdit* m_messages;
};

/// The jobs of a window, newest first.
class JobsPanel final : public QWidget {
    Q_OBJECT

public:
    /// `jobs` outlives the panel.
    explicit JobsPanel(JobList* jobs, QWidget* parent = nullptr);

    /// Newest first.
    const std::vector<JobRow*>& rows() const { return m_rows; }

signals:
    void openRequested(kvloupe::Job* job);
    /// The person wants to run it again, perhaps with other arguments.
    void repeatRequested(kvloupe::Job* job);

private:
    void insertRow(int row);
    void removeRow(int row);

    JobList* m_jobs;
    QLabel* m_empty;
    QVBoxLayout* m_column;
    QPushButton* m_clear;
    std::vector<JobRow*> m_rows;
};

} // namespace kvloupe
