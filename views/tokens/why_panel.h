// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/session/view_models.h"
#include "views/tokens/token_fate.h"

#include <QWidget>

class QFormLayout;
class QLabel;

namespace kvloupe {

class ExplanationModel;

/// "Why was this token dropped?": the TokenFate of the key in view for the method in front. Asks for explanations only
/// while it is visible.
class WhyPanel final : public QWidget {
    Q_OBJECT

public:
    /// `explanations` outlives the panel.
    WhyPanel(const ViewModels& models, ExplanationModel* explanations, QWidget* parent = nullptr);

    /// What is on show.
    const TokenFate& fate() const { return m_fate; }
    QSize sizeHint() const override { return {360, 260}; }

protected:
    void showEvent(QShowEvent* event) override;
    void hideEvent(QHideEvent* event) override;

private:
    TokenFate currentFate() const;
    void refresh();

    ViewModels m_models;
    ExplanationModel* m_explanations;
    TokenFate m_fate;
    QLabel* m_verdict;
    QLabel* m_reason;
    QFormLayout* m_lines;
    QLabel* m_notes;
};

} // namespace kvloupe
