// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/session/view_models.h"

#include <QTimer>
#include <QWidget>

class QLabel;
class QTreeWidget;

namespace kvloupe {

class LostModel;

/// Which heads lose most attention to the method in front, and on which dropped tokens. A row leads to its head or
/// token.
class LostView final : public QWidget {
    Q_OBJECT

public:
    /// `model` outlives the view.
    LostView(const ViewModels& models, LostModel* model, QWidget* parent = nullptr);
    ~LostView() override;

    /// Both lists as text, a line per row, columns separated by tabs.
    QString asText() const;

protected:
    void showEvent(QShowEvent* event) override;
    void hideEvent(QHideEvent* event) override;

private:
    void refresh();

    ViewModels m_models;
    LostModel* m_model;
    QLabel* m_caption;
    QTreeWidget* m_heads;
    QTreeWidget* m_tokens;
    QTimer m_rest; ///< lists are made once nothing has changed for a moment
};

} // namespace kvloupe
