// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/session/view_models.h"

#include <QLabel>

#include <optional>

namespace kvloupe {

/// The cell in view as one line that can be selected: head, both tokens, value, pooling, verdicts of the methods.
class StatusLine final : public QLabel {
    Q_OBJECT

public:
    explicit StatusLine(const ViewModels& models, QWidget* parent = nullptr);

public slots:
    /// Value of a cell; one that is not the cell in view is none of this line's business.
    void showValue(qint64 query, qint64 key, float value, bool exact);
    void setPooling(const QString& pooling); ///< "max of 8 x 8", empty without

private:
    void refresh();

    ViewModels m_models;
    std::optional<float> m_value;
    bool m_isExact = false;
    QString m_pooling;
};

} // namespace kvloupe
