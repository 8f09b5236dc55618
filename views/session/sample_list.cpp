// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/session/sample_list.h"

#include <QHeaderView>
#include <QLocale>
#include <QSignalBlocker>

#include <algorithm>

namespace kvloupe {

void SampleListModel::setSamples(std::vector<SampleInfo> samples)
{
    beginResetModel();
    m_samples = std::move(samples);
    endResetModel();
}

int SampleListModel::rowCount(const QModelIndex& parent) const
{
    return parent.isValid() ? 0 : static_cast<int>(m_samples.size());
}

int SampleListModel::columnCount(const QModelIndex& parent) const
{
    return parent.isValid() ? 0 : ColumnCount;
}

QVariant SampleListModel::data(const QModelIndex& index, int role) const
{
    if (!index.isValid() || index.row() >= rowCount())
        return {};
    const SampleInfo& sample = m_samples[static_cast<std::size_t>(index.row())];
    const bool isNumber = index.column() == TokensColumn || index.column() == GeneratedColumn;
    if (role == Qt::TextAlignmentRole && isNumber)
        return QVariant::fromValue(Qt::Alignment(Qt::AlignRight | Qt::AlignVCenter));
    if (role != Qt::DisplayRole && role != Qt::ToolTipRole)
        return {};
    switch (index.column()) {
    case IdColumn:
        return sample.id.empty() ? QString::number(index.row()) : QString::fromStdString(sample.id);
    case TokensColumn:
        return QLocale().toString(static_cast<qlonglong>(sample.promptTokens));
    case GeneratedColumn:
        return QLocale().toString(static_cast<qlonglong>(sample.totalTokens - sample.promptTokens));
    case TaskColumn:
        return QString::fromStdString(sample.task);
    case RoleColumn:
        return QString::fromStdString(sample.role);
    default:
        return {};
    }
}

QVariant SampleListModel::headerData(int section, Qt::Orientation orientation, int role) const
{
    if (orientation != Qt::Horizontal)
        return {};
    if (role == Qt::ToolTipRole && section == GeneratedColumn)
        return tr("Generated tokens");
    if (role != Qt::DisplayRole)
        return {};
    switch (section) {
    case IdColumn:
        return tr("Sample");
    case TokensColumn:
        return tr("Prompt");
    case GeneratedColumn:
        return tr("Answer");
    case TaskColumn:
        return tr("Task");
    case RoleColumn:
        return tr("Role");
    default:
        return {};
    }
}

SampleList::SampleList(Selection* selection, QWidget* parent)
    : QTreeView(parent)
    , m_selection(selection)
    , m_model(new SampleListModel(this))
{
    setModel(m_model);
    setRootIsDecorated(false);
    setUniformRowHeights(true);
    setAllColumnsShowFocus(true);
    setTabKeyNavigation(false);
    setAccessibleName(tr("Samples of the recording"));
    header()->setStretchLastSection(false);
    connect(selectionModel(), &QItemSelectionModel::currentRowChanged, this, [this](const QModelIndex& current) {
        if (current.isValid())
            m_selection->setSample(current.row());
    });
    connect(m_selection, &Selection::sampleChanged, this, [this](int sample) {
        const QSignalBlocker blocker(selectionModel());
        setCurrentIndex(m_model->index(sample, 0));
    });
}

void SampleList::setSamples(std::vector<SampleInfo> samples)
{
    const auto isEmpty = [&](std::string SampleInfo::*field) {
        return std::ranges::all_of(samples, [field](const SampleInfo& sample) { return (sample.*field).empty(); });
    };
    setColumnHidden(SampleListModel::TaskColumn, isEmpty(&SampleInfo::task));
    setColumnHidden(SampleListModel::RoleColumn, isEmpty(&SampleInfo::role));
    m_model->setSamples(std::move(samples));
    for (int column = 0; column < SampleListModel::ColumnCount; ++column)
        resizeColumnToContents(column);
    // A list that grew still has the sample in view.
    const QSignalBlocker blocker(selectionModel());
    setCurrentIndex(m_model->index(m_selection->sample(), 0));
}

} // namespace kvloupe
