// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/shots/shots_view.h"

#include "views/methods/replay_model.h"
#include "views/session/open_recording.h"
#include "views/session/session.h"
#include "views/shots/shot_bar.h"

#include <QAction>
#include <QComboBox>
#include <QHeaderView>
#include <QLabel>
#include <QTableView>
#include <QToolBar>
#include <QVBoxLayout>

#include <array>

namespace kvloupe {

ShotsView::ShotsView(const ViewModels& models, Session* session, QWidget* parent)
    : QWidget(parent)
    , m_models(models)
    , m_session(session)
    , m_model(new ShotsModel(models, this))
    , m_bar(new ShotBar(m_model))
    , m_table(new QTableView)
    , m_scope(new QComboBox)
    , m_empty(new QLabel)
{
    m_scope->addItems({tr("head in view"), tr("all heads")});
    m_scope->setCurrentIndex(static_cast<int>(m_model->scope()));
    m_scope->setAccessibleName(tr("Heads that are asked"));
    m_scope->setToolTip(tr("Shares of the head in view alone, or means over all heads of all layers"));
    m_scope->setObjectName(QStringLiteral("shotScope"));
    auto* tools = new QToolBar(tr("Shots"));
    tools->addWidget(m_scope);
    const auto action = [this, tools](const QString& text, const QString& name, const QString& toolTip, auto&& slot) {
        QAction* added = tools->addAction(text, this, slot);
        added->setToolTip(toolTip);
        added->setObjectName(name);
        return added;
    };
    action(tr("Compare"), QStringLiteral("compareGranularities"),
        tr("Shows ShotKV (whole shots), ChunkKV (chunks) and SnapKV (single tokens) side by side"),
        [this] { compareGranularities(); });
    tools->addSeparator();
    m_split = action(tr("Split"), QStringLiteral("splitShot"),
        tr("The shot of the token in view becomes two, the second beginning with that token"),
        [this] { edit(splitShot(m_model->shots(), m_models.selection->key()), tr("Split Shot")); });
    m_join = action(tr("Join"), QStringLiteral("joinShots"), tr("The chosen shot and the next one become one"),
        [this] { edit(joinWithNext(m_model->shots(), currentShot()), tr("Join Shots")); });
    m_add = action(tr("Add"), QStringLiteral("addShot"), tr("The text that is marked becomes a shot"),
        [this] { edit(addShot(m_model->shots(), m_models.selection->range()), tr("Add Shot")); });
    m_remove = action(tr("Remove"), QStringLiteral("removeShot"), tr("The chosen shot is no shot any more"),
        [this] { edit(removeShot(m_model->shots(), currentShot()), tr("Remove Shot")); });
    m_reset = action(tr("As Recorded"), QStringLiteral("resetShots"), tr("The shots that were found at the recording"),
        [this] { m_session->resetShots(); });

    m_table->setModel(m_model);
    m_table->verticalHeader()->hide();
    m_table->verticalHeader()->setDefaultSectionSize(m_table->fontMetrics().height() + 6);
    m_table->horizontalHeader()->setStretchLastSection(false);
    m_table->setSelectionBehavior(QAbstractItemView::SelectRows);
    m_table->setSelectionMode(QAbstractItemView::SingleSelection);
    m_table->setTabKeyNavigation(false);
    m_table->setAccessibleName(tr("What methods keep of each shot"));
    m_table->setObjectName(QStringLiteral("shotTable"));
    m_empty->setText(tr("No few-shot examples were found in this prompt. Mark one in the text and choose Add."));
    m_empty->setWordWrap(true);
    m_empty->setMargin(8);
    auto* column = new QVBoxLayout(this);
    column->setContentsMargins(0, 0, 0, 0);
    column->setSpacing(0);
    column->addWidget(tools);
    column->addWidget(m_empty);
    column->addWidget(m_bar);
    column->addWidget(m_table, 1);

    const auto request = [this](const Shots& shots, const QString& what) { m_session->setShots(shots, what); };
    connect(m_bar, &ShotBar::editRequested, this, request);
    connect(m_bar, &ShotBar::shotClicked, this, &ShotsView::showShot);
    connect(m_model, &ShotsModel::editRequested, this, request);
    connect(m_model, &ShotsModel::changed, this, &ShotsView::refresh);
    connect(m_scope, &QComboBox::currentIndexChanged, this,
        [this](int scope) { m_model->setScope(static_cast<ShotsModel::Scope>(scope)); });
    connect(m_table, &QTableView::clicked, this, [this](const QModelIndex& index) { showShot(index.row()); });
    connect(m_table, &QTableView::activated, this, [this](const QModelIndex& index) { showShot(index.row()); });
    connect(m_models.selection, &Selection::cellChanged, this, &ShotsView::refreshActions);
    connect(m_models.selection, &Selection::rangeChanged, this, &ShotsView::refreshActions);
    connect(m_table->selectionModel(), &QItemSelectionModel::currentChanged, this, &ShotsView::refreshActions);
    refresh();
}

void ShotsView::showEvent(QShowEvent* event)
{
    QWidget::showEvent(event);
    m_model->setWanted(true);
}

void ShotsView::hideEvent(QHideEvent* event)
{
    QWidget::hideEvent(event);
    m_model->setWanted(false);
}

int ShotsView::currentShot() const
{
    const int row = m_table->currentIndex().isValid() ? m_table->currentIndex().row() : -1;
    return row < static_cast<int>(m_model->shots().size()) ? row : -1;
}

void ShotsView::showShot(int shot)
{
    if (shot < 0 || shot >= static_cast<int>(m_model->shots().size()))
        return;
    if (currentShot() != shot)
        m_table->selectRow(shot);
    m_models.selection->setRange(m_model->shots()[static_cast<std::size_t>(shot)]);
}

void ShotsView::edit(const std::optional<Shots>& shots, const QString& what)
{
    if (shots)
        m_session->setShots(*shots, what);
}

void ShotsView::compareGranularities()
{
    static constexpr std::array<const char*, 3> names{"shotkv", "chunkkv", "snapkv"};
    for (const char* name : names) {
        const int row = m_models.methods->rowOf(name);
        if (row >= 0)
            m_models.methods->setShown(row, true);
        else
            m_models.methods->add(QString::fromUtf8(name));
    }
}

void ShotsView::refresh()
{
    const Shots& shots = m_model->shots();
    const bool hasSample = m_models.recording->sample() != nullptr;
    m_empty->setVisible(hasSample && shots.empty());
    m_bar->setVisible(!m_empty->isVisibleTo(this));
    m_table->resizeColumnsToContents();
    refreshActions();
}

void ShotsView::refreshActions()
{
    const Shots& shots = m_model->shots();
    m_split->setEnabled(splitShot(shots, m_models.selection->key()).has_value());
    m_join->setEnabled(joinWithNext(shots, currentShot()).has_value());
    m_remove->setEnabled(currentShot() >= 0);
    m_add->setEnabled(m_models.selection->range().size() > 0);
    m_reset->setEnabled(m_session->hasOwnShots());
}

} // namespace kvloupe
