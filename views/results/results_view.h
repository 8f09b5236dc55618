// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/results/result_samples.h"
#include "views/results/results_model.h"

#include <QWidget>

#include <filesystem>
#include <memory>
#include <string>

class QAction;
class QComboBox;
class QLabel;
class QModelIndex;
class QPlainTextEdit;
class QTableView;
class QToolBar;

namespace kvloupe {

class ChartExporter;
class ChartView;
class PanelSpec;

/// A sample of a run, with all that is needed to find, or to make, a recording of it.
struct ChosenSample {
    SampleKey key;
    std::string suite;
    ResultModel model;
    ResultPrompt prompt;
    std::string method; ///< SPEC
    double keep = 1.0; ///< share of the prompt
};

/// Accuracy against the kept share, by task and method, with the samples behind every point.
///
/// A click on a point, or Return, lists its samples; a click on a sample, or Return, emits sampleChosen. Results files
/// can be dropped here while they grow.
class ResultsView final : public QWidget {
    Q_OBJECT

public:
    explicit ResultsView(QWidget* parent = nullptr);
    ~ResultsView() override;

    void addFiles(const std::vector<std::filesystem::path>& files) { m_model->addFiles(files); }

    ResultsModel* model() const { return m_model; }
    ChartView* chartView() const { return m_chart; }
    QTableView* table() const { return m_table; }

    /// Writes the chart on show; figureSaved or problem follows.
    void saveFigure(const std::filesystem::path& path);
    /// `kvloupe figure ...` that makes the same chart.
    QString commandLine() const;
    /// The chart on show as a panel; null if there is none.
    std::shared_ptr<const PanelSpec> figure() const;

signals:
    void sampleChosen(const kvloupe::ChosenSample& sample);
    void figureSaved(const QString& path);
    /// One line for a person.
    void problem(const QString& message);

protected:
    void dragEnterEvent(QDragEnterEvent* event) override;
    void dropEvent(QDropEvent* event) override;

private:
    void buildToolBar();
    QWidget* buildSamples();
    void adoptModel();
    void showSamples();
    void showDetails(const QModelIndex& index);
    void chooseSample(const QModelIndex& index);
    void chooseFigureFile();

    ResultsModel* m_model;
    ResultSamples* m_samples;
    FilteredSamples* m_filtered;
    ChartExporter* m_exporter;
    QToolBar* m_toolBar;
    QComboBox* m_measure = nullptr;
    QComboBox* m_axis = nullptr;
    QComboBox* m_lines = nullptr;
    QAction* m_paper = nullptr;
    QAction* m_sameScale = nullptr;
    QAction* m_export = nullptr;
    QAction* m_copyCommand = nullptr;
    QLabel* m_activity;
    QLabel* m_remarks;
    ChartView* m_chart;
    QWidget* m_samplePanel = nullptr;
    QLabel* m_point = nullptr;
    QComboBox* m_filter = nullptr;
    QTableView* m_table = nullptr;
    QPlainTextEdit* m_details = nullptr;
};

} // namespace kvloupe
