// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/tokens/token_panel.h"

#include "views/methods/replay_model.h"
#include "views/session/open_recording.h"
#include "views/timeline/timeline_model.h"

#include <QCheckBox>
#include <QComboBox>
#include <QHBoxLayout>
#include <QKeyEvent>
#include <QLabel>
#include <QLineEdit>
#include <QShortcut>
#include <QToolButton>
#include <QVBoxLayout>

namespace kvloupe {

TokenPanel::TokenPanel(QWidget* parent)
    : QWidget(parent)
    , m_view(new TokenView(this))
    , m_caption(new QLabel(this))
    , m_voters(new QComboBox(this))
    , m_findBar(new QWidget(this))
    , m_pattern(new QLineEdit(m_findBar))
    , m_regularExpression(new QCheckBox(tr("&Regular expression"), m_findBar))
    , m_matches(new QLabel(m_findBar))
{
    m_caption->setTextFormat(Qt::PlainText);
    m_caption->setTextInteractionFlags(Qt::TextSelectableByMouse);
    m_caption->setContentsMargins(8, 4, 8, 4);
    m_caption->setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Preferred);
    m_caption->setObjectName(QStringLiteral("tokenCaption"));

    m_voters->addItems({tr("no underlines"), tr("heads of the layer"), tr("all heads")});
    m_voters->setToolTip(tr("Underlines a token the heavier, the more heads keep it:\n"
                            "weight = KV heads that keep it / KV heads, at the method and budget in view.\n"
                            "With grouped queries all query heads of a group share one cache and one vote."));
    m_voters->setAccessibleName(tr("Heads whose votes underline the text"));
    m_voters->setObjectName(QStringLiteral("voters"));
    auto* copy = new QToolButton(this);
    copy->setText(tr("Copy"));
    copy->setToolTip(tr("Copies what survived of the marked text, of all of it without a mark (Ctrl+C)"));
    copy->setAccessibleName(tr("Copy what survived"));
    copy->setFocusPolicy(Qt::StrongFocus);
    copy->setAutoRaise(true);
    copy->setObjectName(QStringLiteral("copySurvivors"));
    auto* header = new QHBoxLayout;
    header->setContentsMargins(0, 0, 4, 0);
    header->addWidget(m_caption, 1);
    header->addWidget(m_voters);
    header->addWidget(copy);

    m_pattern->setPlaceholderText(tr("Find in the prompt"));
    m_pattern->setAccessibleName(tr("Find in the prompt"));
    m_pattern->setClearButtonEnabled(true);
    m_pattern->setObjectName(QStringLiteral("findPattern"));
    m_pattern->installEventFilter(this);
    m_matches->setObjectName(QStringLiteral("findMatches"));
    m_matches->setMinimumWidth(m_matches->fontMetrics().horizontalAdvance(QStringLiteral("0000 of 0000")));
    const auto button = [this](Qt::ArrowType arrow, const QString& name) {
        auto* tool = new QToolButton(m_findBar);
        tool->setArrowType(arrow);
        tool->setAutoRaise(true);
        tool->setFocusPolicy(Qt::StrongFocus);
        tool->setToolTip(name);
        tool->setAccessibleName(name);
        return tool;
    };
    QToolButton* previous = button(Qt::UpArrow, tr("Previous match (Shift+F3)"));
    QToolButton* next = button(Qt::DownArrow, tr("Next match (F3)"));
    auto* close = new QToolButton(m_findBar);
    close->setText(tr("Close"));
    close->setAutoRaise(true);
    close->setFocusPolicy(Qt::StrongFocus);
    auto* row = new QHBoxLayout(m_findBar);
    row->setContentsMargins(8, 4, 8, 4);
    row->addWidget(m_pattern, 1);
    row->addWidget(m_matches);
    row->addWidget(previous);
    row->addWidget(next);
    row->addWidget(m_regularExpression);
    row->addWidget(close);
    m_findBar->hide();

    auto* column = new QVBoxLayout(this);
    column->setContentsMargins(0, 0, 0, 0);
    column->setSpacing(0);
    column->addLayout(header);
    column->addWidget(m_view, 1);
    column->addWidget(m_findBar);

    connect(copy, &QToolButton::clicked, m_view, &TokenView::copySurvivors);
    connect(m_voters, &QComboBox::currentIndexChanged, this, &TokenPanel::showVotes);
    connect(m_pattern, &QLineEdit::textChanged, this, &TokenPanel::find);
    connect(m_regularExpression, &QCheckBox::toggled, this, &TokenPanel::find);
    connect(previous, &QToolButton::clicked, this, [this] { m_view->goToMatch(-1); });
    connect(next, &QToolButton::clicked, this, [this] { m_view->goToMatch(1); });
    connect(close, &QToolButton::clicked, this, &TokenPanel::closeFindBar);
    connect(m_view, &TokenView::matchesChanged, this, &TokenPanel::showMatches);
    const auto shortcut = [this](const QKeySequence& keys, int step) {
        auto* action = new QShortcut(keys, this, nullptr, nullptr, Qt::WidgetWithChildrenShortcut);
        connect(action, &QShortcut::activated, this, [this, step] { m_view->goToMatch(step); });
    };
    shortcut(QKeySequence(Qt::Key_F3), 1);
    shortcut(QKeySequence(Qt::SHIFT | Qt::Key_F3), -1);
    setFocusProxy(m_view);
}

void TokenPanel::follow(const ViewModels& models, const TimelineModel* timeline)
{
    m_models = models;
    m_timeline = timeline;
    if (timeline) {
        connect(timeline, &TimelineModel::changed, this, &TokenPanel::showReplay);
        connect(models.selection, &Selection::stepChanged, this, &TokenPanel::showReplay);
    }
    m_view->setSelection(models.selection);
    const auto showSample = [this] {
        m_view->setSample(m_models.recording->sample());
        showReplay();
    };
    connect(models.recording, &OpenRecording::sampleChanged, this, showSample);
    connect(models.recording, &OpenRecording::layoutChanged, this, showSample);
    connect(models.replay, &ReplayModel::changed, this, &TokenPanel::showReplay);
    connect(models.replay, &ReplayModel::chosen, this, &TokenPanel::showVotes);
    connect(models.methods, &MethodModel::currentChanged, this, &TokenPanel::showReplay);
}

void TokenPanel::showVotes()
{
    if (!m_models.replay)
        return;
    HeadVotes votes;
    const int row = m_models.methods->current();
    const std::int64_t tokens = m_models.replay->promptTokens();
    if (m_voters->currentIndex() == static_cast<int>(Voters::Layer)) {
        if (const KeepSet* layer = m_models.replay->kept(row, m_models.selection->layer()))
            votes = countVotes(std::span(layer, 1), tokens);
    } else if (m_voters->currentIndex() == static_cast<int>(Voters::Everyone)) {
        const ReplayModel::KeptLayers layers = m_models.replay->keptEverywhere(row);
        if (!layers && row >= 0)
            return; // the votes on show stay until the new ones are there
        if (layers)
            votes = countVotes(*layers, tokens);
    }
    m_view->setVotes(std::move(votes));
}

void TokenPanel::showReplay()
{
    showVotes();
    const SampleModelPtr& sample = m_models.recording->sample();
    if (!sample) {
        setCaption({});
        return;
    }
    const int row = m_models.methods->current();
    const bool isShown = row >= 0 && m_models.methods->entries()[static_cast<std::size_t>(row)].shown;
    if (!isShown) {
        setCaption(tr("The whole prompt"));
        m_view->setKept(std::nullopt);
        return;
    }
    const MethodModel::Entry& entry = m_models.methods->entries()[static_cast<std::size_t>(row)];
    const int layer = m_models.selection->layer();
    const int head = m_models.selection->head();
    const auto kept = m_models.replay->keptPositions(row, layer, head);
    if (!kept) {
        setCaption(entry.problem.isEmpty() ? tr("%1: scoring").arg(entry.title) : entry.problem);
        m_view->setKept(std::nullopt);
        return;
    }
    const HeadLife* life = m_timeline ? m_timeline->life() : nullptr;
    const std::int64_t step = m_models.selection->step();
    if (step > 0 && life && life->sample == sample && life->layer == layer && life->head == head) {
        setCaption(tr("%1, layer %2, head %3, %4").arg(entry.title).arg(layer).arg(head).arg(life->stepText(step)));
        m_view->setKept(life->aliveAfter(step));
        return;
    }
    setCaption(tr("%1 keeps %2 of %3 tokens in layer %4, head %5")
                   .arg(entry.title)
                   .arg(kept->size())
                   .arg(sample->info.promptTokens)
                   .arg(layer)
                   .arg(head));
    m_view->setKept(std::vector<std::int32_t>(kept->begin(), kept->end()));
}

void TokenPanel::setCaption(const QString& caption)
{
    m_caption->setText(caption);
    m_caption->setToolTip(caption);
}

void TokenPanel::openFindBar()
{
    m_findBar->show();
    m_pattern->setFocus(Qt::ShortcutFocusReason);
    m_pattern->selectAll();
}

void TokenPanel::closeFindBar()
{
    m_pattern->clear();
    m_findBar->hide();
    m_view->setFocus(Qt::OtherFocusReason);
}

bool TokenPanel::eventFilter(QObject* watched, QEvent* event)
{
    if (watched == m_pattern && event->type() == QEvent::KeyPress) {
        const auto* key = static_cast<QKeyEvent*>(event);
        if (key->key() == Qt::Key_Escape) {
            closeFindBar();
            return true;
        }
        if (key->key() == Qt::Key_Return || key->key() == Qt::Key_Enter) {
            m_view->goToMatch(key->modifiers().testFlag(Qt::ShiftModifier) ? -1 : 1);
            return true;
        }
    }
    return QWidget::eventFilter(watched, event);
}

void TokenPanel::find()
{
    const QString problem = m_view->find(
        m_pattern->text(), m_regularExpression->isChecked() ? FindMode::RegularExpression : FindMode::Text);
    if (!problem.isEmpty())
        m_matches->setText(problem);
}

void TokenPanel::showMatches(int current, int count)
{
    if (m_pattern->text().isEmpty())
        m_matches->clear();
    else if (count == 0)
        m_matches->setText(tr("no match"));
    else
        m_matches->setText(tr("%1 of %2").arg(current + 1).arg(count));
}

} // namespace kvloupe
