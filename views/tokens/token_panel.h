// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/session/view_models.h"
#include "views/tokens/token_view.h"

#include <QWidget>

class QCheckBox;
class QComboBox;
class QLabel;
class QLineEdit;

namespace kvloupe {

class TimelineModel;

/// The text with a line above it that says what is faded and which heads vote by underlines, and a find bar below it
/// (Ctrl+F).
class TokenPanel final : public QWidget {
    Q_OBJECT

public:
    explicit TokenPanel(QWidget* parent = nullptr);

    /// Whose votes underline the tokens.
    enum class Voters { Nobody, Layer, Everyone };

    /// Shows the sample in view and what the method in front keeps of it.
    /// At a decode step it is what is left of the prompt by then, if `timeline` knows.
    void follow(const ViewModels& models, const TimelineModel* timeline = nullptr);

    TokenView* view() const { return m_view; }
    /// One line of plain text: "SnapKV keeps 213 of 712 tokens in layer 12, KV head 2".
    void setCaption(const QString& caption);
    void openFindBar();
    void closeFindBar();

protected:
    bool eventFilter(QObject* watched, QEvent* event) override;

private:
    void showReplay();
    void showVotes();
    void find();
    void showMatches(int current, int count);

    ViewModels m_models;
    const TimelineModel* m_timeline = nullptr;
    TokenView* m_view;
    QLabel* m_caption;
    QComboBox* m_voters;
    QWidget* m_findBar;
    QLineEdit* m_pattern;
    QCheckBox* m_regularExpression;
    QLabel* m_matches;
};

} // namespace kvloupe
