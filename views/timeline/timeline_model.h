// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/replay/missed_attention.h"
#include "views/methods/settled_request.h"
#include "views/session/sample_model.h"

#include <QColor>
#include <QObject>
#include <QString>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace kvloupe {

class Budget;
class Recording;
class ScoredSample;

/// The life of every token in the cache that the head in view reads, under the method in front.
struct HeadLife {
    SampleModelPtr sample;
    int layer = 0;
    int head = 0;
    QString method;
    QColor color;
    Fidelity fidelity = Fidelity::Exact;
    std::int64_t promptTokens = 0;
    std::int64_t steps = 0; ///< generated tokens
    HeadTimeline timeline;
    std::optional<MissedAttention> missed; ///< nothing if no rows were recorded

    /// Replays the method for `sample`, `layer` and `head`, which are set. Belongs on the thread that owns `recording`.
    void fill(const Recording& recording, const ScoredSample& scored, const Budget& budget);
    std::int64_t tokens() const { return promptTokens + steps; }
    /// Step with which a token enters: 0 = with the prompt.
    std::int64_t birth(std::int64_t token) const { return token < promptTokens ? 0 : token - promptTokens + 1; }
    /// Step after which it is gone, -1 = it stays.
    std::int64_t death(std::int64_t token) const { return timeline.evictedAt[static_cast<std::size_t>(token)]; }
    /// Whether it is in the cache after `step` generated tokens.
    bool isAlive(std::int64_t token, std::int64_t step) const;
    std::vector<std::int32_t> aliveAfter(std::int64_t step) const;

    /// "after 5 generated tokens: 218 of 717 tokens in the cache; the query missed 12.3 % of its attention"
    QString stepText(std::int64_t step) const;
    /// "token 17 "cat": dropped after the prompt; generated token 5 wanted it most (0.0123)"
    QString tokenText(std::int64_t token) const;
};

/// Follows method, head and budget in view; computed on the recording's I/O thread once nothing has changed for a
/// moment, and only while somebody looks.
class TimelineModel final : public QObject {
    Q_OBJECT

public:
    explicit TimelineModel(const ViewModels& models, QObject* parent = nullptr);
    ~TimelineModel() override;

    void setWanted(bool wanted) { m_settled.setWanted(wanted); }
    /// Null while there is none: `problem` may say why.
    const HeadLife* life() const { return m_life.get(); }
    const QString& problem() const { return m_problem; }
    bool isSettled() const;

signals:
    void changed();

private:
    struct Job;
    void request();
    void take(const std::shared_ptr<Job>& job);
    void clear(const QString& problem);

    ViewModels m_models;
    bool m_isWorking = false;
    SettledRequest m_settled;
    /// What `m_life` is of, or will be.
    std::shared_ptr<const ScoredSample> m_scored;
    std::string m_budget;
    int m_layer = -1;
    int m_head = -1;
    std::shared_ptr<const HeadLife> m_life;
    QString m_problem;
    std::shared_ptr<std::atomic<std::uint64_t>> m_generation;
};

} // namespace kvloupe
