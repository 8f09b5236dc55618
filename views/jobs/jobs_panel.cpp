// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/jobs/jobs_panel.h"

#include "views/jobs/job_list.h"

#include <QClipboard>
#include <QGuiApplication>
#include <QHBoxLayout>
#include <QLabel>
#include <QLineEdit>
#include <QPlainTextEdit>
#include <QProgressBar>
#include <QPushButton>
#include <QScrollArea>
#include <QTimer>
#include <QVBoxLayout>

namespace kvloupe {

namespace {

constexpr int barSteps = 1000;
constexpr int clockMilliseconds = 1000;
constexpr int messageLines = 7; ///< on show at once

} // namespace

JobRow::JobRow(Job* job, QWidget* parent)
    : QFrame(parent)
    , m_job(job)
    , m_title(new QLabel(this))
    , m_status(new QLabel(this))
    , m_bar(new QProgressBar(this))
    , m_pause(new QPushButton(this))
    , m_stop(new QPushButton(this))
    , m_open(new QPushButton(tr("Open"), this))
    , m_repeat(new QPushButton(tr("Again..."), this))
    , m_details(new QPushButton(tr("Details"), this))
    , m_remove(new QPushButton(tr("Remove"), this))
    , m_detailPanel(new QWidget(this))
    , m_messages(new QPlainTextEdit(m_detailPanel))
{
    const QString& title = job->request().title;
    setFrameShape(QFrame::StyledPanel);
    setAccessibleName(title);
    QFont bold = font();
    bold.setBold(true);
    m_title->setFont(bold);
    m_title->setTextFormat(Qt::PlainText);
    m_title->setText(title);
    m_title->setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Preferred);
    m_title->setToolTip(job->commandLine());
    m_status->setTextFormat(Qt::PlainText);
    m_status->setWordWrap(true);
    m_status->setTextInteractionFlags(Qt::TextSelectableByMouse | Qt::TextSelectableByKeyboard);
    m_status->setAccessibleName(tr("State of %1").arg(title));
    m_status->setObjectName(QStringLiteral("jobStatus"));
    m_bar->setRange(0, barSteps);
    m_bar->setTextVisible(false);
    m_bar->setMaximumHeight(fontMetrics().height() * 2 / 3);
    m_bar->setAccessibleName(tr("Progress of %1").arg(title));
    m_details->setCheckable(true);
    const auto describe = [&title](QPushButton* button, const QString& name, const QString& help) {
        button->setObjectName(name);
        button->setToolTip(help);
        button->setAccessibleDescription(title);
        button->setAutoDefault(false);
    };
    describe(m_pause, QStringLiteral("jobPause"),
        tr("Stops all work of this job until it is continued; it keeps its memory"));
    describe(m_stop, QStringLiteral("jobStop"), tr("Stops at the next safe place; what is complete by then is kept"));
    describe(m_open, QStringLiteral("jobOpen"), tr("Opens what is there of the result, complete or not"));
    describe(
        m_repeat, QStringLiteral("jobRepeat"), tr("Shows its arguments, to resume it or to run it in another way"));
    describe(m_details, QStringLiteral("jobDetails"), tr("The command and what it said"));
    describe(m_remove, QStringLiteral("jobRemove"), tr("Takes the job off this list; its files stay"));

    auto* command = new QLineEdit(job->commandLine(), m_detailPanel);
    command->setReadOnly(true);
    command->setCursorPosition(0);
    command->setAccessibleName(tr("Command of %1").arg(title));
    command->setObjectName(QStringLiteral("jobCommand"));
    auto* copy = new QPushButton(tr("Copy Command"), m_detailPanel);
    describe(copy, QStringLiteral("jobCopy"), tr("Copies the command, quoted for a shell"));
    m_messages->setReadOnly(true);
    m_messages->setMaximumBlockCount(static_cast<int>(MessageLog::most));
    m_messages->setPlaceholderText(tr("It said nothing yet"));
    m_messages->setAccessibleName(tr("Messages of %1").arg(title));
    m_messages->setObjectName(QStringLiteral("jobMessages"));
    m_messages->setTabChangesFocus(true);
    m_messages->setFixedHeight(fontMetrics().lineSpacing() * messageLines + 10);
    m_messages->setPlainText(job->log().messages().join(QLatin1Char('\n')));

    auto* head = new QHBoxLayout;
    head->addWidget(m_title, 1);
    for (QPushButton* button : {m_pause, m_stop, m_open, m_repeat, m_details, m_remove})
        head->addWidget(button);
    auto* commandRow = new QHBoxLayout;
    commandRow->addWidget(command, 1);
    commandRow->addWidget(copy);
    auto* details = new QVBoxLayout(m_detailPanel);
    details->setContentsMargins(0, 0, 0, 0);
    details->addLayout(commandRow);
    details->addWidget(m_messages);
    auto* column = new QVBoxLayout(this);
    column->addLayout(head);
    column->addWidget(m_bar);
    column->addWidget(m_status);
    column->addWidget(m_detailPanel);
    m_detailPanel->hide();

    connect(m_pause, &QPushButton::clicked, job,
        [job] { job->state() == JobState::Paused ? job->resume() : job->pause(); });
    connect(m_stop, &QPushButton::clicked, job, &Job::stop);
    connect(m_open, &QPushButton::clicked, this, &JobRow::openRequested);
    connect(m_repeat, &QPushButton::clicked, this, &JobRow::repeatRequested);
    connect(m_remove, &QPushButton::clicked, this, &JobRow::removeRequested);
    connect(m_details, &QPushButton::toggled, m_detailPanel, &QWidget::setVisible);
    connect(copy, &QPushButton::clicked, job, [job] { QGuiApplication::clipboard()->setText(job->commandLine()); });
    connect(job, &Job::stateChanged, this, &JobRow::refresh);
    connect(job, &Job::progressChanged, this, &JobRow::refresh);
    connect(job, &Job::messageAdded, m_messages, &QPlainTextEdit::appendPlainText);
    auto* clock = new QTimer(this);
    connect(clock, &QTimer::timeout, this, [this] {
        if (m_job->state() == JobState::Running)
            refresh();
    });
    clock->start(clockMilliseconds);
    refresh();
}

void JobRow::refresh()
{
    const bool isActive = m_job->isActive();
    const bool isFinished = m_job->isFinished();
    m_status->setText(m_job->statusText());
    m_bar->setVisible(isActive);
    // A range of nothing: busy, before anything is known.
    const auto& progress = m_job->progress();
    m_bar->setRange(0, progress || m_job->state() == JobState::Paused ? barSteps : 0);
    m_bar->setValue(progress ? static_cast<int>(progress->fraction() * barSteps) : 0);
    m_pause->setVisible(isActive);
    m_pause->setEnabled(m_job->stopStep() == Job::Stop::None);
    m_pause->setText(m_job->state() == JobState::Paused ? tr("Continue") : tr("Pause"));
    m_stop->setVisible(!isFinished);
    m_stop->setEnabled(m_job->canStop());
    switch (m_job->stopStep()) {
    case Job::Stop::None:
        m_stop->setText(tr("Stop"));
        break;
    case Job::Stop::Asked:
        m_stop->setText(m_job->canStop() ? tr("End Now") : tr("Stopping"));
        break;
    case Job::Stop::Ended:
    case Job::Stop::Killed:
        m_stop->setText(m_job->canStop() ? tr("Kill") : tr("Ending"));
        break;
    }
    m_open->setVisible(!m_job->request().result.empty() && m_job->state() != JobState::Waiting);
    m_repeat->setVisible(isFinished);
    m_remove->setVisible(isFinished);
}

JobsPanel::JobsPanel(JobList* jobs, QWidget* parent)
    : QWidget(parent)
    , m_jobs(jobs)
    , m_empty(new QLabel(tr("Recordings and evaluations that this window runs are listed here."), this))
    , m_column(nullptr)
    , m_clear(new QPushButton(tr("Remove Finished"), this))
{
    setAccessibleName(tr("Jobs"));
    m_empty->setWordWrap(true);
    m_empty->setAlignment(Qt::AlignCenter);
    m_clear->setAutoDefault(false);
    auto* list = new QWidget;
    m_column = new QVBoxLayout(list);
    m_column->addStretch(1);
    auto* scroll = new QScrollArea(this);
    scroll->setWidgetResizable(true);
    scroll->setFrameShape(QFrame::NoFrame);
    scroll->setFocusPolicy(Qt::NoFocus);
    scroll->setWidget(list);
    auto* column = new QVBoxLayout(this);
    column->setContentsMargins(0, 0, 0, 0);
    column->addWidget(m_empty);
    column->addWidget(scroll, 1);
    column->addWidget(m_clear, 0, Qt::AlignRight);

    for (int row = 0; row < m_jobs->count(); ++row)
        insertRow(row);
    m_clear->hide();
    connect(m_jobs, &JobList::rowsInserted, this, [this](const QModelIndex&, int row) { insertRow(row); });
    connect(m_jobs, &JobList::rowsAboutToBeRemoved, this, [this](const QModelIndex&, int row) { removeRow(row); });
    connect(m_jobs, &JobList::finished, m_clear, &QWidget::show);
    connect(m_clear, &QPushButton::clicked, m_jobs, &JobList::removeFinished);
}

void JobsPanel::insertRow(int row)
{
    auto* widget = new JobRow(m_jobs->job(row));
    connect(widget, &JobRow::openRequested, this, [this, widget] { emit openRequested(widget->job()); });
    connect(widget, &JobRow::repeatRequested, this, [this, widget] { emit repeatRequested(widget->job()); });
    connect(widget, &JobRow::removeRequested, m_jobs, [this, widget] { m_jobs->remove(widget->job()); });
    m_rows.insert(m_rows.begin(), widget);
    m_column->insertWidget(0, widget);
    m_empty->hide();
}

void JobsPanel::removeRow(int row)
{
    const auto at = m_rows.end() - 1 - row;
    JobRow* widget = *at;
    m_rows.erase(at);
    widget->hide();
    // It may be one of its buttons that asks, and its job is about to go.
    widget->disconnect(m_jobs);
    widget->deleteLater();
    m_empty->setVisible(m_rows.empty());
    if (m_rows.empty())
        m_clear->hide();
}

} // namespace kvloupe
