// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/tokens/why_panel.h"

#include "views/methods/explanation_model.h"
#include "views/methods/replay_model.h"
#include "views/session/open_recording.h"

#include <QApplication>
#include <QClipboard>
#include <QFormLayout>
#include <QLabel>
#include <QPushButton>
#include <QScrollArea>
#include <QVBoxLayout>

#include <algorithm>

namespace kvloupe {

namespace {

QLabel* textLabel(const QString& name, QWidget* parent)
{
    auto* label = new QLabel(parent);
    label->setTextFormat(Qt::PlainText);
    label->setWordWrap(true);
    label->setTextInteractionFlags(Qt::TextSelectableByMouse | Qt::TextSelectableByKeyboard);
    label->setObjectName(name);
    return label;
}

} // namespace

WhyPanel::WhyPanel(const ViewModels& models, ExplanationModel* explanations, QWidget* parent)
    : QWidget(parent)
    , m_models(models)
    , m_explanations(explanations)
{
    auto* contents = new QWidget;
    m_verdict = textLabel(QStringLiteral("whyVerdict"), contents);
    m_verdict->setAccessibleName(tr("What became of the token"));
    QFont bold = m_verdict->font();
    bold.setBold(true);
    m_verdict->setFont(bold);
    m_reason = textLabel(QStringLiteral("whyReason"), contents);
    m_reason->setAccessibleName(tr("Why"));
    m_notes = textLabel(QStringLiteral("whyNotes"), contents);
    m_notes->setAccessibleName(tr("Remarks of the method"));
    auto* lines = new QWidget(contents);
    m_lines = new QFormLayout(lines);
    m_lines->setContentsMargins(0, 4, 0, 4);
    m_lines->setRowWrapPolicy(QFormLayout::DontWrapRows);
    m_lines->setFieldGrowthPolicy(QFormLayout::AllNonFixedFieldsGrow);
    m_lines->setLabelAlignment(Qt::AlignLeft | Qt::AlignTop);
    auto* copy = new QPushButton(tr("Cop&y"), contents);
    copy->setToolTip(tr("Copies this answer as text"));
    copy->setObjectName(QStringLiteral("whyCopy"));
    connect(copy, &QPushButton::clicked, this, [this] { QApplication::clipboard()->setText(m_fate.text()); });
    auto* column = new QVBoxLayout(contents);
    column->setContentsMargins(8, 8, 8, 8);
    column->addWidget(m_verdict);
    column->addWidget(m_reason);
    column->addWidget(lines);
    column->addWidget(m_notes);
    column->addWidget(copy, 0, Qt::AlignLeft);
    column->addStretch(1);
    auto* scroll = new QScrollArea(this);
    scroll->setWidgetResizable(true);
    scroll->setFrameShape(QFrame::NoFrame);
    scroll->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    scroll->setWidget(contents);
    auto* all = new QVBoxLayout(this);
    all->setContentsMargins(0, 0, 0, 0);
    all->addWidget(scroll);

    connect(m_explanations, &ExplanationModel::changed, this, &WhyPanel::refresh);
    connect(m_models.selection, &Selection::cellChanged, this, &WhyPanel::refresh);
    connect(m_models.replay, &ReplayModel::changed, this, &WhyPanel::refresh);
    connect(m_models.recording, &OpenRecording::sampleChanged, this, &WhyPanel::refresh);
    refresh();
}

void WhyPanel::showEvent(QShowEvent* event)
{
    QWidget::showEvent(event);
    m_explanations->setWanted(true);
    refresh();
}

void WhyPanel::hideEvent(QHideEvent* event)
{
    QWidget::hideEvent(event);
    m_explanations->setWanted(false);
}

TokenFate WhyPanel::currentFate() const
{
    TokenQuestion question;
    const SampleModelPtr& sample = m_models.recording->sample();
    const std::int64_t token = m_models.selection->key();
    if (!sample || token < 0 || token >= sample->info.promptTokens)
        return tokenFate(question);
    const int layer = m_models.selection->layer();
    const int head = m_models.selection->head();
    const int current = m_models.methods->current();
    question.token = token;
    question.label = sample->tokens.label(token, 40);
    for (int row = 0; row < m_models.methods->rowCount(); ++row) {
        const MethodModel::Entry& entry = m_models.methods->entries()[static_cast<std::size_t>(row)];
        if (row == current)
            question.method = entry.title;
        if (row == current || !entry.shown)
            continue;
        std::optional<bool> keeps;
        if (const auto positions = m_models.replay->keptPositions(row, layer, head))
            keeps = std::ranges::binary_search(*positions, token);
        question.others.emplace_back(entry.title, keeps);
    }
    const Explanation* explanation = m_explanations->explanation();
    const KeepSet* kept = m_models.replay->kept(current, layer);
    if (!explanation || !kept || kept->sets.empty())
        return tokenFate(question);
    const auto sets = explanation->layers.find(layer);
    const std::size_t set = setOfHead(*kept, head, sample->model);
    if (sets == explanation->layers.end() || set >= sets->second.size())
        return tokenFate(question);
    question.set = &sets->second[set];
    question.requestedTokens = explanation->requestedTokens;
    question.place = kept->granularity == Granularity::Layer ? tr("layer %1").arg(layer)
        : kept->granularity == Granularity::KvHead           ? tr("layer %1, KV head %2").arg(layer).arg(set)
                                                             : tr("layer %1, head %2").arg(layer).arg(head);
    return tokenFate(question);
}

void WhyPanel::refresh()
{
    if (!isVisible())
        return;
    m_fate = currentFate();
    m_verdict->setText(m_fate.verdict);
    m_reason->setText(m_fate.reason);
    m_reason->setVisible(!m_fate.reason.isEmpty());
    // Rows are reused: a slider in motion asks again and again.
    for (int row = 0; row < static_cast<int>(m_fate.lines.size()); ++row) {
        const FateLine& line = m_fate.lines[static_cast<std::size_t>(row)];
        if (row >= m_lines->rowCount())
            m_lines->addRow(textLabel({}, this), textLabel({}, this));
        auto* name = static_cast<QLabel*>(m_lines->itemAt(row, QFormLayout::LabelRole)->widget());
        auto* value = static_cast<QLabel*>(m_lines->itemAt(row, QFormLayout::FieldRole)->widget());
        name->setWordWrap(false);
        name->setText(line.name);
        value->setText(line.value);
        name->setToolTip(line.meaning);
        value->setToolTip(line.meaning);
        value->setAccessibleName(line.name);
        m_lines->setRowVisible(row, true);
    }
    for (int row = static_cast<int>(m_fate.lines.size()); row < m_lines->rowCount(); ++row)
        m_lines->setRowVisible(row, false);
    QStringList notes;
    if (!m_explanations->problem().isEmpty())
        notes << m_explanations->problem();
    if (const Explanation* explanation = m_explanations->explanation()) {
        for (const std::string& note : explanation->notes)
            notes << QString::fromStdString(note);
    }
    m_notes->setText(notes.join(QLatin1Char('\n')));
    m_notes->setVisible(!notes.isEmpty());
}

} // namespace kvloupe
