// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/metrics/head_expression.h"
#include "views/session/view_models.h"
#include "views/sparsity/sparsity_data.h"

#include <QObject>
#include <QString>
#include <QThreadPool>

#include <atomic>
#include <memory>
#include <optional>
#include <vector>

namespace kvloupe {

class LostModel;

/// Which heads an expression picks, and in which order another one puts them.
///
/// Measures of the sample in view are taken on a worker, once an expression asks for one. Heads are counted layer by
/// layer: index = recorded layer x heads + head.
class HeadFilter final : public QObject {
    Q_OBJECT

public:
    /// `lost` outlives the filter.
    HeadFilter(const ViewModels& models, LostModel* lost, QObject* parent = nullptr);
    ~HeadFilter() override;

    /// Empty = all heads. A wrong text leaves the last right one in force.
    void setFilter(const QString& text);
    /// Empty = by layer and head. Smallest first; "-" before an expression turns it round. Unknown values come last.
    void setSort(const QString& text);
    const QString& filterProblem() const { return m_filter.problem; }
    const QString& sortProblem() const { return m_sort.problem; }

    /// One per head; empty without a filter, and while its measures are not there.
    std::vector<bool> matches() const;
    /// Heads in order; empty without a sort, and while its measures are not there.
    std::vector<int> order() const;
    bool isBusy() const { return m_isMeasuring; }

    ExpressionNames names() const;
    /// Names with their formulas, as rich text.
    static QString help();

signals:
    void changed();

private:
    struct Part {
        std::optional<HeadExpression> expression;
        QString problem;
    };
    void read(Part& part, const QString& text, bool wantsCondition);
    /// Of every head; empty while a measure is not there.
    std::vector<double> values(const Part& part) const;
    double valueOf(const HeadVariable& variable, std::size_t layerIndex, int head) const;
    void updateNeeds();
    void measure();
    int rowOf(const std::string& method) const;

    ViewModels m_models;
    LostModel* m_lost;
    Part m_filter;
    Part m_sort;
    bool m_isMeasuring = false;
    std::shared_ptr<const SparsityData> m_data;
    QString m_measureProblem;
    std::shared_ptr<std::atomic<std::uint64_t>> m_generation;
    QThreadPool m_worker;
};

} // namespace kvloupe
