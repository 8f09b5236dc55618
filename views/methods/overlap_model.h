// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/methods/keep_set.h"
#include "views/methods/future_attention.h"
#include "views/session/view_models.h"

#include <QAbstractTableModel>
#include <QColor>
#include <QString>
#include <QThreadPool>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace kvloupe {

/// What one method keeps, one KeepSet per layer; null while it is not known.
using KeptOfMethod = std::shared_ptr<const std::vector<KeepSet>>;

/// Jaccard overlap of every pair of methods, [methods, methods] row-major: |a and b| / |a or b|, mean over layers and
/// heads; NaN where one is not known. Sets of a query head are compared with that of its KV head.
std::vector<double> overlapMatrix(const std::vector<KeptOfMethod>& methods, std::int64_t promptTokens);

/// Jaccard overlap of what a method keeps of some layers with what an oracle would keep instead: as many tokens of each
/// set, those that the generated queries look at most (core/metrics/oracle.h). `future`: one per layer of `kept`.
/// Mean over layers and sets, or over the set `onlySet` alone; NaN where nothing is known.
double oracleOverlap(std::span<const KeepSet> kept, const FutureAttention::Layers& future, std::int64_t promptTokens,
    std::optional<std::size_t> onlySet = {});

/// How much the methods on show keep in common, as a square table; where tokens were generated, a last column compares
/// each with an oracle that knows them. Computed on a worker, and only while somebody looks.
class OverlapModel final : public QAbstractTableModel {
    Q_OBJECT

public:
    enum class Scope { Head, Layer, AllLayers };

    explicit OverlapModel(const ViewModels& models, QObject* parent = nullptr);
    ~OverlapModel() override;

    void setWanted(bool wanted);
    Scope scope() const { return m_scope; }
    void setScope(Scope scope);
    bool isSettled() const { return !m_isWorking && m_future.isSettled(); }
    /// Rows of the MethodModel in the order of this table.
    const std::vector<int>& methodRows() const { return m_rows; }
    /// All cells, a line per row, columns separated by " | ".
    QString text() const;

    int rowCount(const QModelIndex& parent = {}) const override;
    int columnCount(const QModelIndex& parent = {}) const override;
    QVariant data(const QModelIndex& index, int role = Qt::DisplayRole) const override;
    QVariant headerData(int section, Qt::Orientation orientation, int role = Qt::DisplayRole) const override;

signals:
    void changed();

private:
    struct Question;
    struct Answer {
        std::vector<double> matrix; ///< [methods, methods]
        std::vector<double> oracle; ///< [methods], empty without generated tokens
    };

    void refresh();
    KeptOfMethod keptOf(int row) const;
    void askOracle(Question& question, int row) const;
    static Answer answerOf(const Question& question);
    void take(std::uint64_t generation, const Answer& answer);
    double valueAt(const QModelIndex& index) const;

    ViewModels m_models;
    FutureAttention m_future;
    bool m_isWanted = false;
    bool m_isWorking = false;
    Scope m_scope = Scope::AllLayers;
    std::vector<int> m_rows;
    std::vector<QString> m_titles;
    std::vector<QColor> m_colors;
    bool m_hasOracle = false;
    Answer m_answer;
    std::shared_ptr<std::atomic<std::uint64_t>> m_generation;
    QThreadPool m_worker;
};

} // namespace kvloupe
