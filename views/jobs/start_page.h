// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <QWidget>

class QLabel;
class QListWidget;
class QPushButton;

namespace kvloupe {

class JobList;
class Settings;

/// What a window without a recording shows: ways to begin, recent files, and the jobs that are under way.
class StartPage final : public QWidget {
    Q_OBJECT

public:
    /// `settings` and `jobs` outlive the page. `sample`: the recording that is shipped, empty if it is not installed.
    StartPage(Settings* settings, JobList* jobs, const QString& sample, QWidget* parent = nullptr);

    QListWidget* recentList() const { return m_recent; }

signals:
    void openRequested(); ///< a file is yet to be chosen
    void recordRequested();
    void evaluateRequested();
    void fileChosen(const QString& path);
    void jobsRequested();

private:
    void rebuildRecent();
    void rebuildJobs();

    Settings* m_settings;
    JobList* m_jobList;
    QLabel* m_recentTitle;
    QListWidget* m_recent;
    QPushButton* m_jobs;
};

/// The recording that is installed with the program, at ../share/kvloupe/sample; empty if it is not there.
QString sampleRecording();

} // namespace kvloupe
