// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/jobs/capture_arguments.h"
#include "views/jobs/evaluate_arguments.h"
#include "views/jobs/job_list.h"
#include "views/jobs/kvloupe_program.h"

#include <QPointer>

#include <filesystem>
#include <map>

class QWidget;

namespace kvloupe {

struct ChosenSample;
class MethodModel;
class Settings;

/// What a window has kvloupe do: its jobs, and the dialogs that start them.
class JobDesk final : public QObject {
    Q_OBJECT

public:
    /// `settings` and `methods` outlive this object; dialogs belong to `window`.
    JobDesk(KvloupeProgram program, Settings* settings, const MethodModel* methods, QWidget* window);
    ~JobDesk() override;

    JobList* jobs() { return &m_jobs; }
    /// Later jobs run another kvloupe.
    void setProgram(KvloupeProgram program);

    void showRecordDialog();
    void showEvaluateDialog();
    /// Opens the dialog of a finished job again, with its arguments; one that was stopped is resumed by default.
    void repeat(const Job* job);
    /// Offers to record a sample of results that is in no open recording. Once that is done, `sampleRecorded` says so.
    void propose(const ChosenSample& sample);

    /// Whether the window may close: true without a job that works or waits, else the person is asked. Says
    /// `closeWanted` once everything has been stopped.
    bool mayClose();

signals:
    void started();
    /// A file of results or a recording has something to show, for the first time.
    void resultAppeared(const QString& path);
    void closeWanted();
    void problem(const QString& message);
    void sampleRecorded(const QString& recording, const kvloupe::ChosenSample& sample);

private:
    void askForRecording(CaptureArguments arguments, std::shared_ptr<const ChosenSample> sample);
    void askForEvaluation(EvaluateArguments arguments);
    Job* start(const JobRequest& request);
    void announceResult(const Job* job);
    QString folder() const; ///< for new files
    void rememberFolder(const QString& file);

    KvloupeProgram m_program;
    Settings* m_settings;
    const MethodModel* m_methods;
    QWidget* m_window;
    JobList m_jobs;
    std::map<const Job*, std::shared_ptr<const ChosenSample>> m_samples; ///< that jobs record
    std::vector<const Job*> m_announced;
    bool m_isAsking = false;
    bool m_isClosing = false;
};

} // namespace kvloupe
