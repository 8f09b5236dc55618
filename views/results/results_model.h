// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/chart/chart_layout.h"
#include "views/results/results_chart.h"
#include "views/results/results_data.h"

#include <QObject>
#include <QString>
#include <QThreadPool>

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <vector>

class QTimer;

namespace kvloupe {

/// Which results files are looked at and how: the model behind ResultsView, free of widgets.
///
/// Files are read on a worker; what an earlier request reads is dropped when a newer one was made. Files that grow are
/// read again as soon as their size or time of change differs.
class ResultsModel final : public QObject {
    Q_OBJECT

public:
    explicit ResultsModel(QObject* parent = nullptr);
    /// Waits for the file in hand.
    ~ResultsModel() override;

    const std::vector<std::filesystem::path>& files() const { return m_files; }
    /// Those that are there already are not added twice.
    void addFiles(const std::vector<std::filesystem::path>& files);
    void setFiles(std::vector<std::filesystem::path> files);
    /// Reads all files again if one has changed on the disk. Done every two seconds, more rarely where reading is slow.
    void checkFiles();

    bool isBusy() const { return m_busy; }
    /// Never null; empty before the first file was read.
    const std::shared_ptr<const ResultsData>& data() const { return m_data; }
    /// Problems and remarks of the files, one a line; empty when all is well.
    QString remarks() const;

    const ResultsSpec& spec() const { return m_spec; }
    void setSpec(ResultsSpec spec);
    const Chart& chart() const { return m_chart; }

    /// Numbers of the rows behind a point, in ResultsData::rows; none for published numbers.
    std::vector<std::size_t> rowsOf(const ChartTarget& target) const;
    /// The same point in a chart that was made from other data or with other options, if it is there.
    std::optional<ChartTarget> sameTarget(const ChartTarget& target, const Chart& before) const;

signals:
    /// Other numbers are on show: files were read, or the spec changed.
    void changed();
    void busyChanged(bool busy);

private:
    void read();
    void adopt(std::uint64_t generation, std::shared_ptr<const ResultsData> data, qint64 milliseconds);
    void rebuild();

    std::vector<std::filesystem::path> m_files;
    std::shared_ptr<const ResultsData> m_data;
    ResultsSpec m_spec;
    Chart m_chart;
    bool m_busy = false;
    QTimer* m_poll;
    std::shared_ptr<std::atomic<std::uint64_t>> m_generation;
    QThreadPool m_worker;
};

} // namespace kvloupe
