// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/methods/method_model.h"
#include "views/methods/replay_model.h"

#include <QWidget>

class QDoubleSpinBox;
class QLabel;
class QLineEdit;
class QProgressBar;
class QSlider;
class QTreeView;

namespace kvloupe {

class ParameterForm;

/// The keep slider, the methods with their colours and what they keep of the head in view, the parameters of the one in
/// front, and a line to add a method by its SPEC; what is wrong with a SPEC stands under the line.
class MethodsPanel final : public QWidget {
    Q_OBJECT

public:
    /// The models and the selection outlive the panel.
    MethodsPanel(MethodModel* methods, ReplayModel* replay, Selection* selection, QWidget* parent = nullptr);

    QSlider* keepSlider() const { return m_slider; }
    QLineEdit* specLine() const { return m_spec; }
    QTreeView* table() const { return m_table; }
    ParameterForm* form() const { return m_form; }

public slots:
    /// Shows or hides the method in a row, counted from 0; rows that do not exist are ignored.
    void toggleMethod(int row);
    void focusSpecLine();

protected:
    void resizeEvent(QResizeEvent* event) override;
    bool eventFilter(QObject* watched, QEvent* event) override;

private:
    void addMethod();
    void removeCurrent();
    void showKeep();
    void showProgress(int done, int total);
    void fitColumns();

    MethodModel* m_methods;
    ReplayModel* m_replay;
    Selection* m_selection;
    QSlider* m_slider;
    QDoubleSpinBox* m_percent;
    QLabel* m_tokens;
    QTreeView* m_table;
    ParameterForm* m_form = nullptr;
    QLineEdit* m_spec;
    QLabel* m_problem;
    QProgressBar* m_progress;
};

} // namespace kvloupe
