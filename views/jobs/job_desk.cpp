// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/jobs/job_desk.h"

#include "core/recording/recording_parts.h"
#include "views/jobs/evaluate_dialog.h"
#include "views/jobs/proposal_dialog.h"
#include "views/jobs/record_dialog.h"
#include "views/jobs/recording_proposal.h"
#include "views/methods/method_model.h"
#include "views/results/results_view.h"
#include "views/session/settings.h"

#include <QDir>
#include <QFileInfo>
#include <QLocale>
#include <QMessageBox>
#include <QPushButton>

namespace kvloupe {

namespace {

/// Whether something of a file that a job writes can be shown. Looks at no more than a folder: cheap enough for every
/// line of progress.
bool hasContents(const std::filesystem::path& file)
{
    std::error_code ignored;
    if (std::filesystem::is_regular_file(file, ignored))
        return std::filesystem::file_size(file, ignored) > 0;
    try {
        return !listParts(partsFolder(file)).empty();
    } catch (const std::exception&) {
        return false;
    }
}

} // namespace

JobDesk::JobDesk(KvloupeProgram program, Settings* settings, const MethodModel* methods, QWidget* window)
    : QObject(window)
    , m_program(std::move(program))
    , m_settings(settings)
    , m_methods(methods)
    , m_window(window)
    , m_jobs(m_program.path)
{
    connect(&m_jobs, &JobList::finished, this, [this](Job* job) {
        announceResult(job);
        const auto sample = m_samples.find(job);
        if (sample != m_samples.end() && job->state() == JobState::Done)
            emit sampleRecorded(QString::fromStdString(job->request().result.string()), *sample->second);
        if (sample != m_samples.end())
            m_samples.erase(sample);
        if (job->state() == JobState::Failed)
            emit problem(tr("%1: %2").arg(job->request().title, job->problem()));
        if (m_isClosing && m_jobs.unfinished().empty())
            emit closeWanted();
    });
}

JobDesk::~JobDesk() = default;

void JobDesk::setProgram(KvloupeProgram program)
{
    m_program = std::move(program);
    m_jobs.setProgram(m_program.path);
}

QString JobDesk::folder() const
{
    const QString known = m_settings->jobFolder();
    return !known.isEmpty() && QFileInfo(known).isDir() ? known : QDir::homePath();
}

void JobDesk::rememberFolder(const QString& file)
{
    m_settings->setJobFolder(QFileInfo(file).absolutePath());
}

void JobDesk::showRecordDialog()
{
    CaptureArguments arguments;
    arguments.out = unusedFile(folder(), QStringLiteral("recording.h5"));
    arguments.threads = m_settings->threads();
    askForRecording(std::move(arguments), nullptr);
}

void JobDesk::askForRecording(CaptureArguments arguments, std::shared_ptr<const ChosenSample> sample)
{
    RecordDialog dialog(m_program, std::move(arguments), m_window);
    connect(&dialog, &JobDialog::startRequested, this, [this, &dialog, &sample](const JobRequest& request) {
        rememberFolder(dialog.captureArguments().out);
        if (const Job* job = start(request); sample)
            m_samples[job] = sample;
    });
    dialog.exec();
}

void JobDesk::showEvaluateDialog()
{
    EvaluateArguments arguments;
    arguments.out = unusedFile(folder(), QStringLiteral("results.jsonl"));
    arguments.threads = m_settings->threads();
    arguments.budgets = QLocale::c().toString(m_settings->keepPermille() / 1000.0);
    for (const MethodModel::Entry& entry : m_methods->entries())
        if (entry.shown)
            arguments.methods << QString::fromStdString(entry.method.spec);
    askForEvaluation(std::move(arguments));
}

void JobDesk::askForEvaluation(EvaluateArguments arguments)
{
    QStringList offered;
    for (const MethodModel::Entry& entry : m_methods->entries())
        offered << QString::fromStdString(entry.method.spec);
    EvaluateDialog dialog(m_program, std::move(arguments), offered, m_window);
    connect(&dialog, &JobDialog::startRequested, this, [this, &dialog](const JobRequest& request) {
        rememberFolder(dialog.evaluateArguments().out);
        start(request);
    });
    dialog.exec();
}

void JobDesk::repeat(const Job* job)
{
    const QStringList& words = job->request().arguments;
    const ExistingFile existing = job->state() == JobState::Interrupted ? ExistingFile::Resume : ExistingFile::Refuse;
    const auto again = [existing](auto arguments) {
        arguments.existing = existing;
        return arguments;
    };
    try {
        if (words.value(0) == QLatin1String("evaluate"))
            askForEvaluation(again(EvaluateArguments::fromArguments(words)));
        else
            askForRecording(again(CaptureArguments::fromArguments(words)), nullptr);
    } catch (const ArgumentError& error) {
        emit problem(QString::fromUtf8(error.what()));
    }
}

void JobDesk::propose(const ChosenSample& sample)
{
    const auto shared = std::make_shared<const ChosenSample>(sample);
    CaptureArguments arguments = proposedRecording(sample, unusedFile(folder(), proposedFileName(sample)));
    arguments.threads = m_settings->threads();
    bool wantsChange = false;
    ProposalDialog dialog(m_program, QString::fromStdString(sample.key.sample), arguments, m_window);
    connect(&dialog, &ProposalDialog::editRequested, this, [&wantsChange] { wantsChange = true; });
    const bool agreed = dialog.exec() == QDialog::Accepted;
    if (wantsChange) {
        // The dialog estimates by itself: it is given no model that a file of results must not choose.
        const FieldProblems problems = checkProposal(arguments);
        if (std::ranges::find(problems, QStringLiteral("model"), &FieldProblem::field) != problems.end())
            arguments.model.clear();
        askForRecording(std::move(arguments), shared);
    } else if (agreed) {
        m_samples[start({tr("Record %1").arg(QFileInfo(arguments.out).fileName()), arguments.toArguments(),
            arguments.out.toStdString()})]
            = shared;
    }
}

Job* JobDesk::start(const JobRequest& request)
{
    Job* job = m_jobs.add(request);
    // The address may be that of a job that was removed.
    std::erase(m_announced, job);
    m_samples.erase(job);
    connect(job, &Job::progressChanged, this, [this, job] { announceResult(job); });
    emit started();
    return job;
}

void JobDesk::announceResult(const Job* job)
{
    const std::filesystem::path& result = job->request().result;
    if (result.empty() || std::ranges::find(m_announced, job) != m_announced.end() || !hasContents(result))
        return;
    m_announced.push_back(job);
    emit resultAppeared(QString::fromStdString(result.string()));
}

bool JobDesk::mayClose()
{
    const auto unfinished = m_jobs.unfinished();
    if (unfinished.empty())
        return true;
    if (m_isAsking || m_isClosing)
        return false;
    m_isAsking = true;
    QMessageBox box(QMessageBox::Question, tr("Jobs Are Running"),
        tr("%n job(s) of this window have not finished.", nullptr, static_cast<int>(unfinished.size())),
        QMessageBox::NoButton, m_window);
    box.setInformativeText(
        tr("They end with the window. Complete samples are kept, and a stopped job can be resumed later."));
    QPushButton* stop = box.addButton(tr("&Stop and Close"), QMessageBox::AcceptRole);
    QPushButton* stay = box.addButton(tr("&Keep Open"), QMessageBox::RejectRole);
    box.setDefaultButton(stay);
    box.setEscapeButton(stay);
    box.exec();
    m_isAsking = false;
    if (box.clickedButton() != stop)
        return false;
    m_isClosing = true;
    m_jobs.stopAll();
    if (m_jobs.unfinished().empty())
        return true;
    emit started(); // their progress comes into view
    return false;
}

} // namespace kvloupe
