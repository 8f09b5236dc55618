// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/jobs/evaluate_arguments.h"
#include "views/jobs/job_dialog.h"

class QListWidget;

namespace kvloupe {

/// Asks what to evaluate, and starts `kvloupe evaluate`.
class EvaluateDialog final : public JobDialog {
    Q_OBJECT

public:
    /// `arguments`: what the fields show first; `offered`: SPECs that can be ticked beside those of `arguments`.
    EvaluateDialog(
        KvloupeProgram program, EvaluateArguments arguments, const QStringList& offered, QWidget* parent = nullptr);

    EvaluateArguments evaluateArguments() const;

private:
    void addMethodFields(const QStringList& offered);
    void addRunFields();
    void showArguments(const EvaluateArguments& arguments);
    QStringList arguments() const override { return evaluateArguments().toArguments(); }
    FieldProblems problems() const override { return evaluateArguments().problems(); }
    JobRequest request() const override;
    void adoptChange(bool isSound) override;

    EvaluateArguments m_base; ///< with the values that have no field
    QListWidget* m_methods = nullptr;
    QComboBox* m_budgetOption = nullptr;
    QLineEdit* m_budgets = nullptr;
    QLineEdit* m_decodeKeep = nullptr;
    QComboBox* m_firstToken = nullptr;
    QComboBox* m_compressSpan = nullptr;
    QSpinBox* m_maxNewTokens = nullptr;
    QList<QCheckBox*> m_measures;
    QCheckBox* m_code = nullptr;
};

} // namespace kvloupe
