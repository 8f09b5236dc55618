// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/methods/overlap_view.h"

#include "views/methods/method_model.h"

#include <QComboBox>
#include <QHeaderView>
#include <QTableView>
#include <QVBoxLayout>

namespace kvloupe {

OverlapView::OverlapView(const ViewModels& models, QWidget* parent)
    : QWidget(parent)
    , m_model(new OverlapModel(models, this))
    , m_scope(new QComboBox)
    , m_table(new QTableView)
{
    m_scope->addItems({tr("head in view"), tr("layer in view"), tr("all layers")});
    m_scope->setCurrentIndex(static_cast<int>(m_model->scope()));
    m_scope->setAccessibleName(tr("Heads whose kept sets are compared"));
    m_scope->setToolTip(tr("Jaccard overlap = tokens both methods keep / tokens either keeps, mean over these heads"));
    m_scope->setObjectName(QStringLiteral("overlapScope"));
    m_table->setModel(m_model);
    m_table->setSelectionMode(QAbstractItemView::SingleSelection);
    m_table->setTabKeyNavigation(false);
    m_table->setAccessibleName(tr("Overlap of the methods"));
    m_table->setObjectName(QStringLiteral("overlapTable"));
    m_table->horizontalHeader()->setSectionResizeMode(QHeaderView::Stretch);
    m_table->horizontalHeader()->setMinimumSectionSize(48);
    m_table->verticalHeader()->setDefaultSectionSize(m_table->fontMetrics().height() + 8);
    auto* column = new QVBoxLayout(this);
    column->setContentsMargins(8, 8, 8, 8);
    column->addWidget(m_scope, 0, Qt::AlignLeft);
    column->addWidget(m_table, 1);
    connect(m_scope, &QComboBox::currentIndexChanged, this,
        [this](int scope) { m_model->setScope(static_cast<OverlapModel::Scope>(scope)); });
    connect(m_table->selectionModel(), &QItemSelectionModel::currentChanged, this,
        [this, methods = models.methods](const QModelIndex& current) {
            if (current.isValid() && current.row() < static_cast<int>(m_model->methodRows().size()))
                methods->setCurrent(m_model->methodRows()[static_cast<std::size_t>(current.row())]);
        });
}

void OverlapView::showEvent(QShowEvent* event)
{
    QWidget::showEvent(event);
    m_model->setWanted(true);
}

void OverlapView::hideEvent(QHideEvent* event)
{
    QWidget::hideEvent(event);
    m_model->setWanted(false);
}

} // namespace kvloupe
