// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/jobs/capture_arguments.h"
#include "views/jobs/job_dialog.h"

#include <QTimer>

class QPlainTextEdit;

namespace kvloupe {

/// Asks what to record, says how large it will be, and starts `kvloupe capture`.
class RecordDialog final : public JobDialog {
    Q_OBJECT

public:
    /// `arguments`: what the fields show first.
    RecordDialog(KvloupeProgram program, CaptureArguments arguments, QWidget* parent = nullptr);

    CaptureArguments captureArguments() const;
    QString estimate() const; ///< as shown

private:
    void addPromptFields();
    void addRecordingFields();
    void showArguments(const CaptureArguments& arguments);
    QStringList arguments() const override { return captureArguments().toArguments(); }
    FieldProblems problems() const override { return captureArguments().problems(); }
    JobRequest request() const override;
    void adoptChange(bool isSound) override;
    void askEstimate();

    CaptureArguments m_base; ///< with the values that have no field
    ProgramQuery* m_query;
    QTimer m_settle;
    QStringList m_estimated; ///< arguments of the estimate on show or under way
    QLabel* m_estimate;
    QComboBox* m_source = nullptr;
    QPlainTextEdit* m_prompt = nullptr;
    PathField* m_file = nullptr;
    QComboBox* m_spans = nullptr;
    QComboBox* m_record = nullptr;
    QLineEdit* m_layers = nullptr;
    QLineEdit* m_heads = nullptr;
    QSpinBox* m_generate = nullptr;
    QComboBox* m_compression = nullptr;
    QLineEdit* m_memory = nullptr;
};

} // namespace kvloupe
