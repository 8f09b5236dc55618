// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/metrics/mean_rows.h"
#include "views/methods/replay_model.h"
#include "views/session/view_models.h"

#include <QObject>
#include <QString>

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

namespace kvloupe {

/// How much attention of the queries after the prompt falls on what a method dropped, for every head and token.
///
/// The mean rows of these queries are read once per sample, layer by layer, on the recording's I/O thread and only
/// while somebody is interested; another method or budget then costs heads x P additions.
class LostModel final : public QObject {
    Q_OBJECT

public:
    struct Head {
        int layer = 0;
        int head = 0;
        double mass = 0.0; ///< share of attention, [0, 1]
    };
    struct Token {
        std::int64_t token = 0;
        double mass = 0.0; ///< lost attention on it, mean over all heads
        int heads = 0; ///< that dropped it
    };

    explicit LostModel(const ViewModels& models, QObject* parent = nullptr);
    ~LostModel() override;

    /// Rows are read while at least one has called it with true and not with false since.
    void setInterested(const QObject* who, bool interested);

    /// NaN while it is not known.
    double lost(int methodRow, int layer, int head);
    /// Of the method in front, most lost first; empty while it is not known everywhere.
    std::vector<Head> heads();
    /// At most `most` dropped tokens.
    std::vector<Token> tokens(std::size_t most = 200);
    /// "asked: generated tokens 1 to 24": whose attention it is.
    QString queriesText() const;
    bool isReading() const { return m_isReading; }
    /// Why there is nothing, in one line.
    const QString& problem() const { return m_problem; }

signals:
    void changed();

private:
    struct Lost {
        ReplayModel::KeptLayers kept;
        std::size_t layers = 0; ///< whose rows were there
        std::vector<double> mass; ///< [recorded layers, heads]
    };

    void restart();
    void readNext();
    const Lost* lostOf(int methodRow);
    int front() const;

    ViewModels m_models;
    std::vector<const QObject*> m_interested;
    SampleModelPtr m_sample;
    std::map<int, std::shared_ptr<const MeanRows>> m_rows; ///< by layer
    std::map<int, Lost> m_lost; ///< by row of the method model
    bool m_isReading = false;
    QString m_problem;
    std::shared_ptr<std::atomic<std::uint64_t>> m_generation;
};

} // namespace kvloupe
