// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/heatmap/heat_map_view.h"
#include "views/session/view_models.h"

#include <QLabel>

#include <optional>

namespace kvloupe {

class TimelineModel;

/// The cell in view as one line that can be selected: head, both tokens, value, rank, pooling, verdicts of the methods.
class StatusLine final : public QLabel {
    Q_OBJECT

public:
    /// `timeline` may be null: verdicts are those after the prompt then.
    explicit StatusLine(const ViewModels& models, const TimelineModel* timeline = nullptr, QWidget* parent = nullptr);

public slots:
    /// Value of a cell; one that is not the cell in view is none of this line's business.
    void showValue(qint64 query, qint64 key, float value, bool exact);
    void showFacts(qint64 query, qint64 key, const kvloupe::CellFacts& facts);
    void setPinned(bool pinned);
    void setContent(kvloupe::MapContent content);
    void setPooling(const QString& pooling); ///< "max of 8 x 8", empty without

private:
    void refresh();

    ViewModels m_models;
    const TimelineModel* m_timeline;
    std::optional<float> m_value;
    bool m_isExact = false;
    CellFacts m_facts;
    bool m_isPinned = false;
    MapContent m_content = MapContent::Attention;
    QString m_pooling;
};

} // namespace kvloupe
