// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/timeline/timeline_view.h"

#include "views/selection/selection.h"
#include "views/timeline/timeline_bars.h"

#include <QAction>
#include <QLabel>
#include <QSignalBlocker>
#include <QSpinBox>
#include <QStyle>
#include <QToolBar>
#include <QVBoxLayout>

namespace kvloupe {

namespace {

constexpr int millisecondsPerStep = 350;

QLabel* line(const QString& name)
{
    auto* label = new QLabel;
    label->setTextFormat(Qt::PlainText);
    label->setTextInteractionFlags(Qt::TextSelectableByMouse);
    label->setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Preferred);
    label->setContentsMargins(8, 2, 8, 2);
    label->setObjectName(name);
    return label;
}

} // namespace

TimelineView::TimelineView(const ViewModels& models, TimelineModel* model, QWidget* parent)
    : QWidget(parent)
    , m_models(models)
    , m_model(model)
    , m_bars(new TimelineBars(models.selection, model))
    , m_step(new QSpinBox)
    , m_stepLine(line(QStringLiteral("timelineStep")))
    , m_tokenLine(line(QStringLiteral("timelineToken")))
{
    m_step->setAccessibleName(tr("Generated tokens since the prompt"));
    m_step->setToolTip(tr("Generated tokens since the prompt; 0 = the cache right after it"));
    m_step->setPrefix(tr("step "));
    m_step->setObjectName(QStringLiteral("timelineSpin"));
    auto* tools = new QToolBar(tr("Timeline"));
    m_playAction = tools->addAction(style()->standardIcon(QStyle::SP_MediaPlay), tr("Play"));
    m_playAction->setCheckable(true);
    m_playAction->setToolTip(tr("Goes through the generated tokens one by one"));
    m_playAction->setObjectName(QStringLiteral("timelinePlay"));
    tools->addWidget(m_step);
    tools->addSeparator();
    m_death = tools->addAction(tr("Where It Died"), this, [this] { jumpTo(deathStep()); });
    m_death->setToolTip(tr("The step after which the token in view left the cache (\u00D7)"));
    m_death->setObjectName(QStringLiteral("timelineDeath"));
    m_wanted = tools->addAction(tr("Where It Was Wanted"), this, [this] { jumpTo(wantedStep()); });
    m_wanted->setToolTip(tr("The generated token after its death whose query, under full attention, looked at it most "
                            "(\u25CB)"));
    m_wanted->setObjectName(QStringLiteral("timelineWanted"));
    auto* column = new QVBoxLayout(this);
    column->setContentsMargins(0, 0, 0, 0);
    column->setSpacing(0);
    column->addWidget(tools);
    column->addWidget(m_bars, 1);
    column->addWidget(m_stepLine);
    column->addWidget(m_tokenLine);

    m_play.setInterval(millisecondsPerStep);
    connect(&m_play, &QTimer::timeout, this, [this] {
        const HeadLife* life = m_model->life();
        if (!life || m_models.selection->step() >= life->steps)
            setPlaying(false);
        else
            m_models.selection->setStep(m_models.selection->step() + 1);
    });
    connect(m_playAction, &QAction::toggled, this, &TimelineView::setPlaying);
    connect(m_step, &QSpinBox::valueChanged, this, [this](int step) { m_models.selection->setStep(step); });
    connect(m_model, &TimelineModel::changed, this, &TimelineView::refresh);
    connect(m_models.selection, &Selection::stepChanged, this, &TimelineView::refresh);
    connect(m_models.selection, &Selection::cellChanged, this, &TimelineView::refresh);
    refresh();
}

void TimelineView::showEvent(QShowEvent* event)
{
    QWidget::showEvent(event);
    m_model->setWanted(true);
}

void TimelineView::hideEvent(QHideEvent* event)
{
    QWidget::hideEvent(event);
    setPlaying(false);
    m_model->setWanted(false);
}

void TimelineView::setPlaying(bool playing)
{
    const HeadLife* life = m_model->life();
    playing = playing && life && life->steps > 0;
    if (playing && !m_play.isActive() && m_models.selection->step() >= life->steps)
        m_models.selection->setStep(0);
    if (playing)
        m_play.start();
    else
        m_play.stop();
    const QSignalBlocker blocker(m_playAction);
    m_playAction->setChecked(playing);
}

void TimelineView::jumpTo(std::int64_t step)
{
    if (step < 0)
        return;
    m_models.selection->setStep(step);
    m_bars->showToken(m_models.selection->key());
}

std::int64_t TimelineView::deathStep() const
{
    const HeadLife* life = m_model->life();
    const std::int64_t token = m_models.selection->key();
    return life && token >= 0 && token < life->tokens() ? life->death(token) : -1;
}

std::int64_t TimelineView::wantedStep() const
{
    const HeadLife* life = m_model->life();
    if (deathStep() < 0 || !life->missed)
        return -1;
    const std::int32_t step = life->missed->wantedAt[static_cast<std::size_t>(m_models.selection->key())];
    return step > 0 ? step : -1;
}

QString TimelineView::stepLine() const
{
    return m_stepLine->text();
}

QString TimelineView::tokenLine() const
{
    return m_tokenLine->text();
}

void TimelineView::refresh()
{
    const HeadLife* life = m_model->life();
    {
        const QSignalBlocker blocker(m_step);
        m_step->setRange(0, life ? static_cast<int>(life->steps) : 0);
        m_step->setValue(static_cast<int>(m_models.selection->step()));
    }
    m_step->setEnabled(life && life->steps > 0);
    m_playAction->setEnabled(life && life->steps > 0);
    m_death->setEnabled(deathStep() >= 0);
    m_wanted->setEnabled(wantedStep() >= 0);
    if (!life) {
        m_stepLine->clear();
        m_tokenLine->clear();
        return;
    }
    const QString step = tr("%1, %2").arg(life->method, life->stepText(m_models.selection->step()));
    m_stepLine->setText(life->steps == 0 ? tr("%1. Nothing was generated: record with --generate N").arg(step) : step);
    const QString token = life->tokenText(m_models.selection->key());
    m_tokenLine->setText(token.isEmpty() ? tr("Click a token to follow it") : token);
}

} // namespace kvloupe
