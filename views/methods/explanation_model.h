// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/replay/explanation.h"
#include "views/methods/settled_request.h"

#include <QObject>
#include <QThreadPool>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

namespace kvloupe {

class ScoredSample;

/// Why the method in front keeps what it keeps in the layer in view: computed on a worker once nothing has changed for
/// a moment, and only while somebody looks. A method that pools is scored once more without pooling.
class ExplanationModel final : public QObject {
    Q_OBJECT

public:
    explicit ExplanationModel(const ViewModels& models, QObject* parent = nullptr);
    ~ExplanationModel() override;

    void setWanted(bool wanted) { m_settled.setWanted(wanted); }

    /// Of the method in front and the layer in view at the budget in view; null while there is none. Layers beside the
    /// one in view are there for methods that look at the whole model only.
    const Explanation* explanation() const { return m_explanation.get(); }
    const QString& problem() const { return m_problem; }
    bool isSettled() const; ///< nothing is on its way

signals:
    void changed();

private:
    struct Job;
    void request();
    void gather(std::shared_ptr<Job> job);
    void explainOnWorker(std::shared_ptr<Job> job);
    void take(const std::shared_ptr<Job>& job);

    ViewModels m_models;
    bool m_isWorking = false;
    SettledRequest m_settled;
    /// What `m_explanation` is of, or will be once the job in hand is done.
    std::shared_ptr<const ScoredSample> m_scored;
    std::string m_budget;
    std::shared_ptr<const ScoredSample> m_unpooled; ///< of m_scored, if it pools
    std::shared_ptr<const Explanation> m_explanation;
    QString m_problem;
    std::shared_ptr<std::atomic<std::uint64_t>> m_generation;
    QThreadPool m_worker;
};

} // namespace kvloupe
