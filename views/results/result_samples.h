// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/results/result_row.h"
#include "views/results/results_data.h"

#include <QAbstractTableModel>
#include <QSortFilterProxyModel>

#include <array>
#include <memory>
#include <vector>

namespace kvloupe {

/// Which samples of a point are listed. Lost and Gained: the score is lower, or higher, than with the full cache.
enum class SampleFilter { All, Wrong, Lost, Gained, Skipped };
inline constexpr std::array allSampleFilters{
    SampleFilter::All, SampleFilter::Wrong, SampleFilter::Lost, SampleFilter::Gained, SampleFilter::Skipped};

/// The samples behind a point: how each was answered, and how with the full cache.
class ResultSamples final : public QAbstractTableModel {
    Q_OBJECT

public:
    enum Column {
        SampleColumn,
        MethodColumn, ///< of a mean over methods
        VerdictColumn,
        FullColumn,
        AnswerColumn,
        ReferenceColumn,
        OutputColumn,
        LengthColumn,
        NllColumn,
        ColumnCount
    };
    /// Numbers are sorted as such.
    static constexpr int SortRole = Qt::UserRole;

    using QAbstractTableModel::QAbstractTableModel;

    /// `rows`: numbers in data->rows.
    void setRows(std::shared_ptr<const ResultsData> data, std::vector<std::size_t> rows);
    void clear() { setRows(nullptr, {}); }

    const ResultRow& row(int number) const { return m_data->rows[m_rows[static_cast<std::size_t>(number)]]; }
    /// The same sample with the full cache, null without one.
    const ResultRow* fullRow(int number) const;
    bool matches(int number, SampleFilter filter) const;
    /// All that is known of a sample, for reading.
    QString details(int number) const;

    int rowCount(const QModelIndex& parent = {}) const override;
    int columnCount(const QModelIndex& parent = {}) const override;
    QVariant data(const QModelIndex& index, int role = Qt::DisplayRole) const override;
    QVariant headerData(int section, Qt::Orientation orientation, int role = Qt::DisplayRole) const override;

private:
    std::shared_ptr<const ResultsData> m_data;
    std::vector<std::size_t> m_rows; ///< numbers in m_data->rows
};

/// ResultSamples, filtered and sorted.
class FilteredSamples final : public QSortFilterProxyModel {
    Q_OBJECT

public:
    explicit FilteredSamples(ResultSamples* samples, QObject* parent = nullptr);

    SampleFilter filter() const { return m_filter; }
    void setFilter(SampleFilter filter);
    /// How many samples a filter lets through.
    int count(SampleFilter filter) const;

protected:
    bool filterAcceptsRow(int row, const QModelIndex& parent) const override;

private:
    ResultSamples* m_samples;
    SampleFilter m_filter = SampleFilter::All;
};

} // namespace kvloupe
