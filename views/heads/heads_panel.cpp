// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/heads/heads_panel.h"

#include "views/heads/head_filter.h"
#include "views/heads/head_wall.h"
#include "views/lost/lost_model.h"
#include "views/methods/method_model.h"
#include "views/session/open_recording.h"
#include "views/session/session.h"

#include <QAbstractItemView>
#include <QComboBox>
#include <QCompleter>
#include <QGridLayout>
#include <QHBoxLayout>
#include <QInputDialog>
#include <QLabel>
#include <QLineEdit>
#include <QRegularExpression>
#include <QStringListModel>
#include <QTimer>
#include <QToolButton>
#include <QVBoxLayout>

#include <algorithm>
#include <chrono>

namespace kvloupe {

namespace {

constexpr std::chrono::milliseconds typingRest{250};

} // namespace

HeadsPanel::HeadsPanel(HeadWall* wall, const ViewModels& models, LostModel* lost, Session* session, QWidget* parent)
    : QWidget(parent)
    , m_wall(wall)
    , m_models(models)
    , m_lost(lost)
    , m_filter(new HeadFilter(models, lost, this))
    , m_filterLine(expressionLine(tr("Pick heads"), tr("pick, e.g. sink > 0.5 and entropy < 2")))
    , m_sortLine(expressionLine(tr("Sort heads"), tr("sort by, e.g. -evicted(snapkv)")))
    , m_session(session)
    , m_sets(new QComboBox)
    , m_saveSet(new QToolButton)
    , m_deleteSet(new QToolButton)
    , m_hide(new QToolButton)
    , m_showLost(new QToolButton)
    , m_summary(new QLabel)
{
    m_hide->setText(tr("Hide others"));
    m_hide->setToolTip(tr("Hides the heads that were not picked; else they are dimmed"));
    m_showLost->setText(tr("Lost"));
    m_showLost->setToolTip(tr("A bar below each head: attention of the queries after the prompt on tokens that the "
                              "method in front dropped, 0 to 1"));
    for (QToolButton* button : {m_hide, m_showLost}) {
        button->setCheckable(true);
        button->setFocusPolicy(Qt::TabFocus);
        button->setAccessibleName(button->text());
    }
    m_summary->setTextFormat(Qt::PlainText);
    m_summary->setWordWrap(true);
    m_summary->setTextInteractionFlags(Qt::TextSelectableByMouse);
    m_summary->setObjectName(QStringLiteral("headsSummary"));
    m_summary->setAccessibleName(tr("How many heads were picked"));
    auto* grid = new QGridLayout;
    grid->setContentsMargins(4, 4, 4, 2);
    grid->setSpacing(4);
    grid->addWidget(m_filterLine, 0, 0);
    grid->addWidget(m_hide, 0, 1);
    grid->addWidget(m_sortLine, 1, 0);
    grid->addWidget(m_showLost, 1, 1);
    auto* sets = new QHBoxLayout;
    sets->addWidget(m_sets, 1);
    sets->addWidget(m_saveSet);
    sets->addWidget(m_deleteSet);
    grid->addLayout(sets, 2, 0, 1, 2);
    auto* column = new QVBoxLayout(this);
    column->setContentsMargins(0, 0, 0, 0);
    column->setSpacing(0);
    column->addLayout(grid);
    column->addWidget(m_summary);
    column->addWidget(m_wall, 1);

    buildSets();
    const auto readLater = [this](QLineEdit* line, void (HeadFilter::*set)(const QString&)) {
        auto* rest = new QTimer(this);
        rest->setSingleShot(true);
        rest->setInterval(typingRest);
        const auto read = [this, line, set, rest] {
            rest->stop();
            (m_filter->*set)(line->text());
        };
        connect(rest, &QTimer::timeout, this, read);
        connect(line, &QLineEdit::textChanged, rest, qOverload<>(&QTimer::start));
        connect(line, &QLineEdit::returnPressed, this, read);
    };
    readLater(m_filterLine, &HeadFilter::setFilter);
    readLater(m_sortLine, &HeadFilter::setSort);
    connect(m_hide, &QToolButton::toggled, this, &HeadsPanel::refresh);
    connect(m_showLost, &QToolButton::toggled, this, [this](bool shown) {
        m_lost->setInterested(this, shown);
        showLost();
    });
    connect(m_filter, &HeadFilter::changed, this, &HeadsPanel::refresh);
    connect(m_lost, &LostModel::changed, this, &HeadsPanel::showLost);
    // After the wall has the sample.
    const auto refreshAll = [this] {
        refresh();
        showLost();
    };
    connect(m_models.recording, &OpenRecording::sampleChanged, this, refreshAll, Qt::QueuedConnection);
    refresh();
}

HeadsPanel::~HeadsPanel()
{
    m_lost->setInterested(this, false);
}

QLineEdit* HeadsPanel::expressionLine(const QString& name, const QString& placeholder)
{
    auto* line = new QLineEdit;
    line->setClearButtonEnabled(true);
    line->setPlaceholderText(placeholder);
    line->setAccessibleName(name);
    line->setToolTip(HeadFilter::help());
    auto* completer = new QCompleter(new QStringListModel(line), line);
    completer->setWidget(line);
    completer->setCompletionMode(QCompleter::PopupCompletion);
    connect(line, &QLineEdit::textEdited, this, [this, line] { complete(line); });
    connect(
        completer, qOverload<const QString&>(&QCompleter::activated), line, [line, completer](const QString& name_) {
            const QString before = line->text().left(line->cursorPosition());
            const QString rest = line->text().mid(line->cursorPosition());
            const QString begun = before.left(before.size() - completer->completionPrefix().size()) + name_;
            line->setText(begun + rest);
            line->setCursorPosition(static_cast<int>(begun.size()));
        });
    completer->setObjectName(QStringLiteral("completer"));
    return line;
}

/// Offers names that begin as the word before the cursor does.
void HeadsPanel::complete(QLineEdit* line)
{
    static const QRegularExpression word(QStringLiteral("[A-Za-z_][A-Za-z0-9_:=,]*$"));
    auto* completer = line->findChild<QCompleter*>(QStringLiteral("completer"));
    const QString before = line->text().left(line->cursorPosition());
    const QString begun = word.match(before).captured();
    const bool wantsMethod = before.size() > begun.size() && before.at(before.size() - begun.size() - 1) == u'('
        && (before.chopped(begun.size() + 1).endsWith(QStringLiteral("evicted"))
            || before.chopped(begun.size() + 1).endsWith(QStringLiteral("kept")));
    const ExpressionNames names = m_filter->names();
    QStringList offers;
    if (wantsMethod) {
        for (const std::string& name : names.arguments)
            offers << QString::fromStdString(name) + QLatin1Char(')');
    } else {
        for (const std::string& name : names.measures)
            offers << QString::fromStdString(name);
        for (const std::string& name : names.functions)
            offers << QString::fromStdString(name) + QLatin1Char('(');
        offers << QStringLiteral("and") << QStringLiteral("or") << QStringLiteral("not");
    }
    static_cast<QStringListModel*>(completer->model())->setStringList(offers);
    completer->setCompletionPrefix(begun);
    const bool isOffered = (!begun.isEmpty() || wantsMethod) && completer->completionCount() > 0
        && completer->currentCompletion() != begun;
    if (isOffered)
        completer->complete();
    else
        completer->popup()->hide();
}

QString HeadsPanel::summary() const
{
    return m_summary->text();
}

void HeadsPanel::buildSets()
{
    m_sets->setAccessibleName(tr("Named set of heads"));
    m_sets->setToolTip(tr("Only the heads of this set are picked. Ctrl + click on a head puts it in or takes it out."));
    m_saveSet->setText(tr("Save..."));
    m_saveSet->setToolTip(tr("Saves the picked heads as a set, beside the recording"));
    m_deleteSet->setText(tr("Delete"));
    for (QToolButton* button : {m_saveSet, m_deleteSet}) {
        button->setFocusPolicy(Qt::TabFocus);
        button->setAccessibleName(tr("%1 set of heads").arg(button->text()));
    }
    connect(m_sets, &QComboBox::activated, this, &HeadsPanel::refresh);
    connect(m_saveSet, &QToolButton::clicked, this, &HeadsPanel::saveSet);
    connect(m_deleteSet, &QToolButton::clicked, this, &HeadsPanel::deleteSet);
    connect(m_session, &Session::headSetsChanged, this, &HeadsPanel::showSets);
    connect(m_wall, &HeadWall::headToggled, this, &HeadsPanel::toggleInSet);
    showSets();
}

void HeadsPanel::showSets()
{
    const QString chosen = m_sets->currentIndex() > 0 ? m_sets->currentText() : QString();
    m_sets->clear();
    m_sets->addItem(tr("All heads"));
    for (const HeadSet& set : m_session->headSets())
        m_sets->addItem(QString::fromStdString(set.name));
    const int index = chosen.isEmpty() ? 0 : m_sets->findText(chosen);
    m_sets->setCurrentIndex(std::max(0, index));
    refresh();
}

std::vector<bool> HeadsPanel::picked() const
{
    std::vector<bool> picked = m_filter->matches();
    const SampleModelPtr& sample = m_models.recording->sample();
    const int set = m_sets->currentIndex() - 1;
    if (!sample || set < 0 || set >= static_cast<int>(m_session->headSets().size()))
        return picked;
    const auto& heads = m_session->headSets()[static_cast<std::size_t>(set)].heads;
    const auto count = static_cast<std::size_t>(sample->model.numHeads);
    picked.resize(sample->layers.size() * count, picked.empty());
    for (std::size_t index = 0; index < picked.size(); ++index) {
        const std::pair head{sample->layers[index / count].layer, static_cast<int>(index % count)};
        picked[index] = picked[index] && std::ranges::binary_search(heads, head);
    }
    return picked;
}

void HeadsPanel::saveSet()
{
    const SampleModelPtr& sample = m_models.recording->sample();
    if (!sample)
        return;
    bool accepted = false;
    const QString name
        = QInputDialog::getText(this, tr("Save Heads"), tr("Name of the set:"), QLineEdit::Normal, QString(), &accepted)
              .trimmed();
    if (!accepted || name.isEmpty())
        return;
    HeadSet saved{name.toStdString(), {}};
    const std::vector<bool> heads = picked();
    const auto count = static_cast<std::size_t>(sample->model.numHeads);
    for (std::size_t index = 0; index < heads.size(); ++index) {
        if (heads[index])
            saved.heads.emplace_back(sample->layers[index / count].layer, static_cast<int>(index % count));
    }
    if (heads.empty()) // nothing was picked: the head in view begins the set
        saved.heads.emplace_back(m_models.selection->layer(), m_models.selection->head());
    std::vector<HeadSet> sets = m_session->headSets();
    const auto same = std::ranges::find(sets, saved.name, &HeadSet::name);
    const auto index = static_cast<int>(same - sets.begin());
    if (same == sets.end())
        sets.push_back(std::move(saved));
    else
        *same = std::move(saved);
    m_session->setHeadSets(std::move(sets), tr("Save Heads as %1").arg(name));
    m_sets->setCurrentIndex(index + 1);
    refresh();
}

void HeadsPanel::deleteSet()
{
    const int set = m_sets->currentIndex() - 1;
    std::vector<HeadSet> sets = m_session->headSets();
    if (set < 0 || set >= static_cast<int>(sets.size()))
        return;
    sets.erase(sets.begin() + set);
    m_session->setHeadSets(std::move(sets), tr("Delete %1").arg(m_sets->currentText()));
}

void HeadsPanel::toggleInSet(int layer, int head)
{
    const int set = m_sets->currentIndex() - 1;
    std::vector<HeadSet> sets = m_session->headSets();
    if (set < 0 || set >= static_cast<int>(sets.size()))
        return;
    auto& heads = sets[static_cast<std::size_t>(set)].heads;
    const std::pair toggled{layer, head};
    const auto at = std::ranges::lower_bound(heads, toggled);
    if (at != heads.end() && *at == toggled)
        heads.erase(at);
    else
        heads.insert(at, toggled);
    m_session->setHeadSets(std::move(sets), tr("Change %1").arg(m_sets->currentText()));
}

void HeadsPanel::refresh()
{
    const std::vector<bool> matches = picked();
    m_deleteSet->setEnabled(m_sets->currentIndex() > 0);
    std::vector<int> order = m_filter->order();
    const bool hides = m_hide->isChecked() && !matches.empty();
    if (hides && order.empty()) {
        for (int head = 0; head < static_cast<int>(matches.size()); ++head)
            order.push_back(head);
    }
    if (hides)
        std::erase_if(order, [&](int head) { return !matches[static_cast<std::size_t>(head)]; });
    m_wall->setMatches(matches);
    if (order.empty() && !hides)
        m_wall->setOrder(std::nullopt);
    else
        m_wall->setOrder(std::move(order));

    QStringList lines;
    for (const auto& [name, problem] :
        {std::pair{tr("pick"), m_filter->filterProblem()}, {tr("sort"), m_filter->sortProblem()}})
        if (!problem.isEmpty())
            lines << tr("%1: %2").arg(name, problem);
    if (m_filter->isBusy())
        lines << tr("measuring");
    else if (!matches.empty())
        lines << tr("%1 of %2 heads").arg(std::ranges::count(matches, true)).arg(matches.size());
    m_summary->setText(lines.join(QLatin1Char('\n')));
    m_summary->setVisible(!lines.isEmpty());
}

void HeadsPanel::showLost()
{
    std::vector<double> bars;
    const SampleModelPtr& sample = m_models.recording->sample();
    const int row = m_models.methods->current();
    if (m_showLost->isChecked() && sample && row >= 0) {
        for (const LayerInfo& layer : sample->layers)
            for (int head = 0; head < sample->model.numHeads; ++head)
                bars.push_back(m_lost->lost(row, layer.layer, head));
        m_wall->setBars(std::move(bars), m_models.methods->entries()[static_cast<std::size_t>(row)].color);
    } else {
        m_wall->setBars({}, {});
    }
}

} // namespace kvloupe
