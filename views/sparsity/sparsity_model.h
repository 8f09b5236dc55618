// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/chart/chart.h"
#include "views/sparsity/sparsity_chart.h"
#include "views/sparsity/sparsity_data.h"

#include <QObject>
#include <QString>
#include <QThreadPool>

#include <atomic>
#include <cstdint>
#include <memory>

namespace kvloupe {

/// How sparse the attention of one or two recordings is: the model behind SparsityView, free of widgets.
///
/// Recordings are measured on a worker that opens them for itself; a newer request stops the one in hand, and what that
/// one would still deliver is dropped. Nothing is measured before the view is looked at.
class SparsityModel final : public QObject {
    Q_OBJECT

public:
    explicit SparsityModel(QObject* parent = nullptr);
    /// Stops the measurement in hand.
    ~SparsityModel() override;

    const SparsityRequest& request() const { return m_request; }
    void setRequest(SparsityRequest request);
    /// While not active, requests wait.
    void setActive(bool active);
    /// Stops measuring; what was there before stays on show.
    void stop();

    SparsityMeasure measure() const { return m_measure; }
    void setMeasure(SparsityMeasure measure);

    bool isBusy() const { return m_busy; }
    /// Null before the first measurement, and when the last failed.
    const std::shared_ptr<const SparsityData>& data() const { return m_data; }
    const Chart& chart() const { return m_chart; }
    /// Why there is nothing: one line; empty when all is well.
    QString problem() const { return m_problem; }

signals:
    /// Other numbers are on show, or a problem instead.
    void changed();
    void busyChanged(bool busy);
    void progressed(double fraction);

private:
    struct Outcome {
        std::shared_ptr<const SparsityData> data;
        QString problem;
    };
    void startIfWanted();
    void adopt(std::uint64_t generation, Outcome outcome);
    void rebuild();
    void setBusy(bool busy);

    SparsityRequest m_request;
    bool m_active = false;
    bool m_wanted = false; ///< the request was not measured yet
    bool m_busy = false;
    SparsityMeasure m_measure = SparsityMeasure::Entropy;
    std::shared_ptr<const SparsityData> m_data;
    Chart m_chart;
    QString m_problem;
    std::shared_ptr<std::atomic<std::uint64_t>> m_generation;
    QThreadPool m_worker;
};

} // namespace kvloupe
