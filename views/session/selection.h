// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/methods/keep_set.h"

#include <QObject>
#include <QString>

#include <cstdint>
#include <optional>
#include <vector>

namespace kvloupe {

/// What the window looks at. Every view reads and writes this object and knows no other view.
class Selection : public QObject {
    Q_OBJECT

public:
    using QObject::QObject;

    int sample() const { return m_sample; }
    int layer() const { return m_layer; }
    int head() const { return m_head; } ///< query head
    std::int64_t query() const { return m_query; } ///< token under the cursor, -1 = none
    std::int64_t key() const { return m_key; }

    void setSample(int sample);
    void setHead(int layer, int head);
    void setCell(std::int64_t query, std::int64_t key);

signals:
    void sampleChanged(int sample);
    void headChanged(int layer, int head);
    void cellChanged(qint64 query, qint64 key);

private:
    int m_sample = -1;
    int m_layer = -1;
    int m_head = -1;
    std::int64_t m_query = -1;
    std::int64_t m_key = -1;
};

} // namespace kvloupe
