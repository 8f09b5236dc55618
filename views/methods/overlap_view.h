// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/methods/overlap_model.h"

#include <QWidget>

class QComboBox;
class QTableView;

namespace kvloupe {

/// The overlap matrix of the methods on show; a cell that is chosen brings the method of its row to the front.
class OverlapView final : public QWidget {
    Q_OBJECT

public:
    explicit OverlapView(const ViewModels& models, QWidget* parent = nullptr);

    OverlapModel* model() const { return m_model; }
    QTableView* table() const { return m_table; }
    QSize sizeHint() const override { return {400, 220}; }

protected:
    void showEvent(QShowEvent* event) override;
    void hideEvent(QHideEvent* event) override;

private:
    OverlapModel* m_model;
    QComboBox* m_scope;
    QTableView* m_table;
};

} // namespace kvloupe
