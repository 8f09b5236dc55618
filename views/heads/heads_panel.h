// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/session/view_models.h"

#include <QWidget>

#include <vector>

class QComboBox;
class QLabel;
class QLineEdit;
class QToolButton;

namespace kvloupe {

class HeadFilter;
class Session;
class HeadWall;
class LostModel;

/// The wall of heads with a line to pick heads by an expression, one to sort them, and named sets of heads.
class HeadsPanel final : public QWidget {
    Q_OBJECT

public:
    /// Takes `wall`. `lost` and `session`, which has the named sets, outlive the panel.
    HeadsPanel(HeadWall* wall, const ViewModels& models, LostModel* lost, Session* session, QWidget* parent = nullptr);
    ~HeadsPanel() override;

    HeadFilter* filter() const { return m_filter; }
    /// How many heads match, or what is wrong with an expression.
    QString summary() const;

private:
    QLineEdit* expressionLine(const QString& name, const QString& placeholder);
    void complete(QLineEdit* line);
    void refresh();
    void showLost();
    void buildSets();
    void showSets();
    /// Heads of the chosen set as picked, all without one.
    std::vector<bool> picked() const;
    void saveSet();
    void deleteSet();
    void toggleInSet(int layer, int head);

    HeadWall* m_wall;
    ViewModels m_models;
    LostModel* m_lost;
    HeadFilter* m_filter;
    QLineEdit* m_filterLine;
    QLineEdit* m_sortLine;
    Session* m_session;
    QComboBox* m_sets;
    QToolButton* m_saveSet;
    QToolButton* m_deleteSet;
    QToolButton* m_hide;
    QToolButton* m_showLost;
    QLabel* m_summary;
};

} // namespace kvloupe
