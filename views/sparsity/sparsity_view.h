// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/sparsity/sparsity_model.h"

#include <QWidget>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

class QAction;
class QComboBox;
class QLabel;
class QProgressBar;
class QToolBar;

namespace kvloupe {

class ChartExporter;
class ChartView;
class PanelSpec;
class Selection;

/// How concentrated attention is, by layer and head, of the recording in view and of a second one beside it.
///
/// Measures only while it can be seen. A click on a cell, or Return, emits headChosen.
class SparsityView final : public QWidget {
    Q_OBJECT

public:
    explicit SparsityView(QWidget* parent = nullptr);
    ~SparsityView() override;

    /// Shows the recording, sample and head of `selection`, and chooses heads there. It outlives the view.
    void follow(Selection* selection);
    /// The recording in view; an empty path for none.
    void setRecording(const std::filesystem::path& path);
    /// The sample in view, by number; measured alone while "this sample" is on.
    void setSample(int sample);
    /// A second recording, compared in pairs where the samples have the same pair_id; an empty path for none.
    void setSecond(const std::filesystem::path& path);
    /// Marks the head that the other views show.
    void setHead(int layer, int head);

    SparsityModel* model() const { return m_model; }
    ChartView* chartView() const { return m_chart; }

    /// Writes the panels on show; figureSaved or problem follows.
    void saveFigure(const std::filesystem::path& path);
    /// `kvloupe figure ...` that makes the maps and means again.
    QString commandLine() const;
    /// Maps and means as a panel; null if there are none.
    std::shared_ptr<const PanelSpec> figure() const;

signals:
    void headChosen(int layer, int head);
    void figureSaved(const QString& path);
    /// One line for a person.
    void problem(const QString& message);

protected:
    void showEvent(QShowEvent* event) override;
    void hideEvent(QHideEvent* event) override;

private:
    void buildToolBar();
    void applyRequest();
    void adoptModel();
    void markHead();
    void chooseSecond();
    void chooseFigureFile();

    SparsityModel* m_model;
    ChartExporter* m_exporter;
    std::filesystem::path m_recording;
    std::filesystem::path m_second;
    int m_sample = -1;
    int m_layer = -1;
    int m_head = -1;
    QToolBar* m_toolBar;
    QComboBox* m_measure = nullptr;
    QAction* m_onlySample = nullptr;
    QAction* m_compare = nullptr;
    QAction* m_export = nullptr;
    QAction* m_copyCommand = nullptr;
    QAction* m_stop = nullptr;
    QProgressBar* m_progress;
    QLabel* m_problem;
    ChartView* m_chart;
};

} // namespace kvloupe
