// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/session/view_models.h"

#include <QObject>
#include <QTimer>

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

namespace kvloupe {

/// Of every query of the head in view, the share of its attention that falls on prompt tokens which the method in front
/// drops. Read some hundred rows at a time on the recording's I/O thread, while wanted and once nothing has changed for
/// a moment.
class LostRows final : public QObject {
    Q_OBJECT

public:
    explicit LostRows(const ViewModels& models, QObject* parent = nullptr);
    ~LostRows() override;

    void setWanted(bool wanted);
    /// One per prompt and generated token, [0, 1]; NaN while it is not known. Empty without a method or rows.
    const std::vector<float>& shares() const { return m_shares; }
    bool isComplete() const { return !m_isReading && !m_rest.isActive(); }

signals:
    void changed();
    void failed(const QString& message);

private:
    void restart();
    void begin();
    void readNext(std::int64_t query);

    ViewModels m_models;
    bool m_isWanted = false;
    bool m_isReading = false;
    QTimer m_rest;
    int m_layer = -1;
    int m_head = -1;
    std::shared_ptr<const std::vector<bool>> m_dropped; ///< [P]
    std::vector<float> m_shares;
    std::shared_ptr<std::atomic<std::uint64_t>> m_generation;
};

} // namespace kvloupe
