// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/methods/keep_set.h"
#include "views/session/view_models.h"

#include <QAbstractTableModel>
#include <QColor>
#include <QString>
#include <QThreadPool>

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

namespace kvloupe {

/// What one method keeps, one KeepSet per layer; null while it is not known.
using KeptOfMethod = std::shared_ptr<const std::vector<KeepSet>>;

/// Jaccard overlap of every pair of methods, [methods, methods] row-major: |a and b| / |a or b|, mean over layers and
/// heads; NaN where one is not known. Sets of a query head are compared with that of its KV head.
std::vector<double> overlapMatrix(const std::vector<KeptOfMethod>& methods, std::int64_t promptTokens);

/// How much the methods on show keep in common, as a square table. Computed on a worker, and only while somebody looks.
class OverlapModel final : public QAbstractTableModel {
    Q_OBJECT

public:
    enum class Scope { Head, Layer, AllLayers };

    explicit OverlapModel(const ViewModels& models, QObject* parent = nullptr);
    ~OverlapModel() override;

    void setWanted(bool wanted);
    Scope scope() const { return m_scope; }
    void setScope(Scope scope);
    bool isSettled() const { return !m_isWorking; }
    /// Rows of the MethodModel in the order of this table.
    const std::vector<int>& methodRows() const { return m_rows; }
    /// All cells, a line per row, columns separated by " | ".
    QString text() const;

    int rowCount(const QModelIndex& parent = {}) const override;
    int columnCount(const QModelIndex& parent = {}) const override { return rowCount(parent); }
    QVariant data(const QModelIndex& index, int role = Qt::DisplayRole) const override;
    QVariant headerData(int section, Qt::Orientation orientation, int role = Qt::DisplayRole) const override;

signals:
    void changed();

private:
    void refresh();
    KeptOfMethod keptOf(int row) const;
    void take(std::uint64_t generation, std::vector<double> matrix);

    ViewModels m_models;
    bool m_isWanted = false;
    bool m_isWorking = false;
    Scope m_scope = Scope::AllLayers;
    std::vector<int> m_rows;
    std::vector<QString> m_titles;
    std::vector<QColor> m_colors;
    std::vector<double> m_matrix;
    std::shared_ptr<std::atomic<std::uint64_t>> m_generation;
    QThreadPool m_worker;
};

} // namespace kvloupe
