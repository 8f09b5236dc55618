// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/session/view_models.h"
#include "views/shots/shots_model.h"

#include <QWidget>

class QAction;
class QComboBox;
class QLabel;
class QTableView;

namespace kvloupe {

class Session;
class ShotBar;

/// Few-shot examples: where they lie, what each method leaves of them, and the tools to correct their borders. Edits go
/// to the Session, so that they can be undone and are saved.
class ShotsView final : public QWidget {
    Q_OBJECT

public:
    /// `session` outlives the view.
    ShotsView(const ViewModels& models, Session* session, QWidget* parent = nullptr);

    ShotsModel* model() const { return m_model; }
    ShotBar* bar() const { return m_bar; }
    QTableView* table() const { return m_table; }
    QSize sizeHint() const override { return {560, 260}; }

protected:
    void showEvent(QShowEvent* event) override;
    void hideEvent(QHideEvent* event) override;

private:
    int currentShot() const;
    void showShot(int shot);
    void edit(const std::optional<Shots>& shots, const QString& what);
    void compareGranularities();
    void refresh();
    void refreshActions();

    ViewModels m_models;
    Session* m_session;
    ShotsModel* m_model;
    ShotBar* m_bar;
    QTableView* m_table;
    QComboBox* m_scope;
    QLabel* m_empty;
    QAction* m_split;
    QAction* m_join;
    QAction* m_remove;
    QAction* m_add;
    QAction* m_reset;
};

} // namespace kvloupe
