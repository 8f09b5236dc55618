// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/recording/recording_types.h"
#include "views/selection/selection.h"

#include <QAbstractTableModel>
#include <QTreeView>

#include <vector>

namespace kvloupe {

/// The samples of a recording: id, task, role, tokens.
class SampleListModel final : public QAbstractTableModel {
    Q_OBJECT

public:
    enum Column { IdColumn, TokensColumn, GeneratedColumn, TaskColumn, RoleColumn, ColumnCount };

    using QAbstractTableModel::QAbstractTableModel;

    void setSamples(std::vector<SampleInfo> samples);
    const std::vector<SampleInfo>& samples() const { return m_samples; }

    int rowCount(const QModelIndex& parent = {}) const override;
    int columnCount(const QModelIndex& parent = {}) const override;
    QVariant data(const QModelIndex& index, int role = Qt::DisplayRole) const override;
    QVariant headerData(int section, Qt::Orientation orientation, int role = Qt::DisplayRole) const override;

private:
    std::vector<SampleInfo> m_samples;
};

/// Shows the samples and drives the Selection: the current row is the sample in view.
class SampleList final : public QTreeView {
    Q_OBJECT

public:
    /// `selection` outlives the list.
    explicit SampleList(Selection* selection, QWidget* parent = nullptr);

    void setSamples(std::vector<SampleInfo> samples);
    SampleListModel* sampleModel() const { return m_model; }
    QSize sizeHint() const override { return {260, 160}; }

private:
    Selection* m_selection;
    SampleListModel* m_model;
};

} // namespace kvloupe
