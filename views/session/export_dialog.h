// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/figure/figure_spec.h"
#include "views/session/recording_source.h"
#include "views/session/settings.h"

#include <QDialog>
#include <QTimer>

#include <filesystem>

class QCheckBox;
class QComboBox;
class QDoubleSpinBox;
class QLabel;
class QLineEdit;
class QSpinBox;

namespace kvloupe {

/// Size, fonts and parts of a figure with a preview made by the same code as the file, and the command that makes the
/// same figure without a window.
class ExportDialog final : public QDialog {
    Q_OBJECT

public:
    /// `source` and `settings` outlive the dialog. `spec` is what the window shows.
    ExportDialog(RecordingSource* source, FigureSpec spec, Settings* settings, QWidget* parent = nullptr);

    /// As the fields say now.
    FigureSpec spec() const;
    QString command() const;
    bool hasPreview() const;

signals:
    void saveRequested(const kvloupe::FigureSpec& spec, const std::filesystem::path& path);

protected:
    void resizeEvent(QResizeEvent* event) override;

private:
    void chooseFile();
    void requestPreview();

    RecordingSource* m_source;
    Settings* m_settings;
    FigureSpec m_spec;
    QDoubleSpinBox* m_width;
    QDoubleSpinBox* m_height;
    QDoubleSpinBox* m_font;
    QSpinBox* m_dpi;
    QComboBox* m_range;
    QLineEdit* m_title;
    QCheckBox* m_shade;
    QCheckBox* m_tokens;
    QCheckBox* m_spans;
    QLabel* m_preview;
    QLabel* m_problem;
    QLineEdit* m_command;
    QTimer m_settle;
    quint64 m_generation = 0;
};

} // namespace kvloupe
