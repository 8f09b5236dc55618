// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/jobs/start_page.h"

#include "core/program/program_folder.h"
#include "views/jobs/job_list.h"
#include "views/session/settings.h"

#include <QCoreApplication>
#include <QFileInfo>
#include <QHBoxLayout>
#include <QLabel>
#include <QListWidget>
#include <QPushButton>
#include <QShortcut>
#include <QVBoxLayout>

namespace kvloupe {

namespace {

constexpr int pageWidth = 620;

QFont larger(QFont font, double factor)
{
    font.setPointSizeF(font.pointSizeF() * factor);
    font.setBold(true);
    return font;
}

} // namespace

StartPage::StartPage(Settings* settings, JobList* jobs, const QString& sample, QWidget* parent)
    : QWidget(parent)
    , m_settings(settings)
    , m_jobList(jobs)
    , m_recentTitle(new QLabel(tr("Recent files"), this))
    , m_recent(new QListWidget(this))
    , m_jobs(new QPushButton(this))
{
    setAccessibleName(tr("Start page"));
    auto* title = new QLabel(tr("KVLoupe"), this);
    title->setFont(larger(title->font(), 1.8));
    auto* about = new QLabel(tr("Shows what KV-cache compression throws away. Open a recording of a model's attention, "
                                "or results of evaluations; both can be dropped here."),
        this);
    about->setWordWrap(true);

    auto* actions = new QHBoxLayout;
    const auto add = [&](const QString& text, const QString& help, const char* name) {
        auto* button = new QPushButton(text, this);
        button->setToolTip(help);
        button->setObjectName(QLatin1String(name));
        button->setMinimumHeight(2 * fontMetrics().height());
        actions->addWidget(button);
        return button;
    };
    QPushButton* open = add(tr("&Open..."), tr("A recording (.h5) or results (.jsonl)"), "startOpen");
    QPushButton* shipped = add(tr("Open the &Sample Recording"),
        sample.isEmpty() ? tr("It is not installed with this program")
                         : tr("A few-shot prompt read by SmolLM2-135M-Instruct, with the answer it generated"),
        "startSample");
    shipped->setEnabled(!sample.isEmpty());
    QPushButton* record = add(tr("&Record..."), tr("Runs a model and records its attention"), "startRecord");
    QPushButton* evaluate
        = add(tr("&Evaluate..."), tr("Measures what accuracy is left with compressed caches"), "startEvaluate");
    m_jobs->setObjectName(QStringLiteral("startJobs"));
    m_jobs->setToolTip(tr("Shows the jobs of this window"));
    m_jobs->setAccessibleName(tr("Jobs of this window"));
    m_jobs->setFlat(true);

    m_recentTitle->setFont(larger(m_recentTitle->font(), 1.0));
    m_recentTitle->setBuddy(m_recent);
    m_recent->setAccessibleName(tr("Recent files"));
    m_recent->setObjectName(QStringLiteral("startRecent"));
    m_recent->setTextElideMode(Qt::ElideMiddle);
    m_recent->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    m_recent->setFrameShape(QFrame::NoFrame);

    auto* page = new QWidget(this);
    page->setMaximumWidth(pageWidth);
    auto* column = new QVBoxLayout(page);
    column->addStretch(1);
    column->addWidget(title);
    column->addWidget(about);
    column->addSpacing(8);
    column->addLayout(actions);
    column->addWidget(m_jobs, 0, Qt::AlignLeft);
    column->addSpacing(8);
    column->addWidget(m_recentTitle);
    column->addWidget(m_recent, 4);
    column->addStretch(1);
    auto* row = new QHBoxLayout(this);
    row->addStretch(1);
    row->addWidget(page, 100);
    row->addStretch(1);

    connect(open, &QPushButton::clicked, this, &StartPage::openRequested);
    connect(record, &QPushButton::clicked, this, &StartPage::recordRequested);
    connect(evaluate, &QPushButton::clicked, this, &StartPage::evaluateRequested);
    connect(shipped, &QPushButton::clicked, this, [this, sample] { emit fileChosen(sample); });
    connect(m_jobs, &QPushButton::clicked, this, &StartPage::jobsRequested);
    const auto choose = [this](const QListWidgetItem* item) { emit fileChosen(item->data(Qt::UserRole).toString()); };
    connect(m_recent, &QListWidget::itemClicked, this, choose);
    for (const Qt::Key key : {Qt::Key_Return, Qt::Key_Enter}) {
        auto* shortcut = new QShortcut(key, m_recent, nullptr, nullptr, Qt::WidgetShortcut);
        connect(shortcut, &QShortcut::activated, this, [this, choose] {
            if (const QListWidgetItem* item = m_recent->currentItem())
                choose(item);
        });
    }
    connect(m_settings, &Settings::recentFilesChanged, this, &StartPage::rebuildRecent);
    connect(m_jobList, &JobList::dataChanged, this, &StartPage::rebuildJobs);
    connect(m_jobList, &JobList::rowsInserted, this, &StartPage::rebuildJobs);
    connect(m_jobList, &JobList::rowsRemoved, this, &StartPage::rebuildJobs);
    rebuildRecent();
    rebuildJobs();
}

void StartPage::rebuildRecent()
{
    m_recent->clear();
    for (const QString& path : m_settings->recentFiles()) {
        const QFileInfo file(path);
        auto* item = new QListWidgetItem(tr("%1    %2").arg(file.fileName(), file.absolutePath()), m_recent);
        item->setData(Qt::UserRole, path);
        item->setToolTip(path);
    }
    m_recentTitle->setVisible(m_recent->count() > 0);
    m_recent->setVisible(m_recent->count() > 0);
}

void StartPage::rebuildJobs()
{
    QStringList lines;
    for (const Job* job : m_jobList->unfinished())
        lines << tr("%1: %2").arg(job->request().title, job->statusText());
    m_jobs->setText(lines.value(0) + (lines.size() > 1 ? tr(" (and %1 more)").arg(lines.size() - 1) : QString()));
    m_jobs->setAccessibleDescription(m_jobs->text());
    m_jobs->setVisible(!lines.isEmpty());
}

QString sampleRecording()
{
    const QString path = QString::fromStdString(besideProgram("share/kvloupe/sample/few-shot.h5").string());
    return QFileInfo(path).isFile() ? path : QString();
}

} // namespace kvloupe
