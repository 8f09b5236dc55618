// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/sparsity/sparsity_view.h"

#include "views/chart/chart_exporter.h"
#include "views/chart/chart_view.h"
#include "views/selection/selection.h"
#include "views/sparsity/sparsity_figure.h"

#include <QAction>
#include <QClipboard>
#include <QComboBox>
#include <QFileDialog>
#include <QGuiApplication>
#include <QLabel>
#include <QProgressBar>
#include <QScrollArea>
#include <QToolBar>
#include <QVBoxLayout>

#include <algorithm>
#include <utility>

namespace kvloupe {

namespace {

constexpr int leastHeight = 260; ///< pixels: a row of panels with its labels

} // namespace

SparsityView::SparsityView(QWidget* parent)
    : QWidget(parent)
    , m_model(new SparsityModel(this))
    , m_exporter(new ChartExporter(this))
    , m_toolBar(new QToolBar(tr("Sparsity"), this))
    , m_progress(new QProgressBar(this))
    , m_problem(new QLabel(this))
    , m_chart(new ChartView(this))
{
    setAccessibleName(tr("Sparsity"));
    buildToolBar();
    m_problem->setWordWrap(true);
    m_problem->setTextFormat(Qt::PlainText);
    m_problem->setTextInteractionFlags(Qt::TextSelectableByMouse | Qt::TextSelectableByKeyboard);
    m_problem->setContentsMargins(6, 4, 6, 4);
    m_problem->setAccessibleName(tr("Why nothing is shown"));
    m_problem->setObjectName(QStringLiteral("sparsityProblem"));
    m_problem->hide();
    m_progress->setRange(0, 1000);
    m_progress->setTextVisible(false);
    m_progress->setFixedHeight(6);
    m_progress->setAccessibleName(tr("Share of the layers that are measured"));
    m_progress->hide();
    m_chart->setAccessibleName(tr("Sparsity by layer and head"));
    m_chart->setEmptyText(tr("Open a recording to measure its attention"));
    auto* scroll = new QScrollArea(this);
    scroll->setWidgetResizable(true);
    scroll->setFrameShape(QFrame::NoFrame);
    scroll->setFocusPolicy(Qt::NoFocus);
    scroll->setMinimumHeight(leastHeight);
    scroll->setWidget(m_chart);
    auto* column = new QVBoxLayout(this);
    column->setContentsMargins(0, 0, 0, 0);
    column->setSpacing(0);
    column->addWidget(m_toolBar);
    column->addWidget(m_progress);
    column->addWidget(m_problem);
    column->addWidget(scroll, 1);

    connect(m_model, &SparsityModel::changed, this, &SparsityView::adoptModel);
    connect(m_model, &SparsityModel::progressed, m_progress,
        [this](double fraction) { m_progress->setValue(static_cast<int>(fraction * m_progress->maximum())); });
    connect(m_model, &SparsityModel::busyChanged, this, [this](bool busy) {
        m_progress->setValue(0);
        m_progress->setVisible(busy);
        m_stop->setEnabled(busy);
        m_chart->setEmptyText(busy ? tr("Measuring") : tr("Open a recording to measure its attention"));
    });
    connect(m_chart, &ChartView::chosen, this, [this](const ChartTarget& target) {
        if (target.series >= 0)
            return;
        const ChartMatrix& matrix = *m_model->chart().panels[static_cast<std::size_t>(target.panel)].matrix;
        if (matrix.rowNumbers.empty()) // spans, not heads
            return;
        emit headChosen(matrix.rowNumbers[static_cast<std::size_t>(target.row)],
            matrix.columnNumbers[static_cast<std::size_t>(target.column)]);
    });
    connect(m_exporter, &ChartExporter::saved, this, &SparsityView::figureSaved);
    connect(m_exporter, &ChartExporter::failed, this, &SparsityView::problem);
}

SparsityView::~SparsityView() = default;

void SparsityView::buildToolBar()
{
    m_toolBar->setMovable(false);
    auto* caption = new QLabel(tr("&Measure"), m_toolBar);
    caption->setContentsMargins(6, 0, 2, 0);
    m_measure = new QComboBox(m_toolBar);
    m_measure->setAccessibleName(tr("Measure of sparsity"));
    m_measure->setObjectName(QStringLiteral("sparsityMeasure"));
    caption->setBuddy(m_measure);
    for (const SparsityMeasure measure : allSparsityMeasures) {
        m_measure->addItem(sparsityLabel(measure), static_cast<int>(measure));
        m_measure->setItemData(m_measure->count() - 1, sparsityHelp(measure), Qt::ToolTipRole);
    }
    m_measure->setToolTip(sparsityHelp(m_model->measure()));
    m_toolBar->addWidget(caption);
    m_toolBar->addWidget(m_measure);
    m_onlySample = m_toolBar->addAction(tr("This sample"));
    m_onlySample->setCheckable(true);
    m_onlySample->setChecked(true);
    m_onlySample->setToolTip(tr("Measures the sample in view alone, else all samples of the recording"));
    m_compare = m_toolBar->addAction(tr("Compare with..."));
    m_compare->setToolTip(tr("A second recording, for example of a reasoning model: samples with the same pair_id are "
                             "compared, second - first"));
    m_toolBar->addSeparator();
    m_export = m_toolBar->addAction(tr("Save figure..."));
    m_export->setToolTip(tr("Writes these panels as PDF, SVG, PNG or CSV"));
    m_copyCommand = m_toolBar->addAction(tr("Copy command"));
    m_copyCommand->setToolTip(tr("Copies the kvloupe figure command that makes the maps and means again"));
    m_stop = m_toolBar->addAction(tr("Stop"));
    m_stop->setToolTip(tr("Stops measuring"));
    for (QAction* action : {m_compare, m_export, m_copyCommand, m_stop})
        action->setEnabled(false);

    connect(m_measure, &QComboBox::currentIndexChanged, this, [this] {
        const auto measure = static_cast<SparsityMeasure>(m_measure->currentData().toInt());
        m_measure->setToolTip(sparsityHelp(measure));
        m_model->setMeasure(measure);
    });
    connect(m_onlySample, &QAction::toggled, this, &SparsityView::applyRequest);
    connect(m_compare, &QAction::triggered, this, &SparsityView::chooseSecond);
    connect(m_export, &QAction::triggered, this, &SparsityView::chooseFigureFile);
    connect(m_copyCommand, &QAction::triggered, this, [this] { QGuiApplication::clipboard()->setText(commandLine()); });
    connect(m_stop, &QAction::triggered, m_model, &SparsityModel::stop);
}

void SparsityView::follow(Selection* selection)
{
    connect(selection, &Selection::recordingChanged, this, [this, selection] { setRecording(selection->recording()); });
    connect(selection, &Selection::sampleChanged, this, &SparsityView::setSample);
    connect(selection, &Selection::headChanged, this, &SparsityView::setHead);
    connect(this, &SparsityView::headChosen, selection, &Selection::setHead);
    setRecording(selection->recording());
    setSample(selection->sample());
    setHead(selection->layer(), selection->head());
}

void SparsityView::setRecording(const std::filesystem::path& path)
{
    if (path == m_recording)
        return;
    m_recording = path;
    m_second.clear();
    m_sample = -1;
    applyRequest();
}

void SparsityView::setSample(int sample)
{
    m_sample = sample;
    applyRequest();
}

void SparsityView::setSecond(const std::filesystem::path& path)
{
    m_second = path;
    applyRequest();
}

void SparsityView::applyRequest()
{
    SparsityRequest request;
    if (!m_recording.empty()) {
        request.recordings.push_back(m_recording);
        if (!m_second.empty())
            request.recordings.push_back(m_second);
        if (m_onlySample->isChecked()) {
            // Which sample is not known yet: it is told as soon as the recording was opened.
            if (m_sample < 0)
                request.recordings.clear();
            else
                request.sample = std::to_string(m_sample);
        }
    }
    m_compare->setEnabled(!m_recording.empty());
    m_compare->setText(m_second.empty() ? tr("Compare with...") : tr("Do not compare"));
    m_model->setRequest(std::move(request));
}

void SparsityView::setHead(int layer, int head)
{
    m_layer = layer;
    m_head = head;
    markHead();
}

void SparsityView::markHead()
{
    const Chart& chart = m_chart->chart();
    const std::optional<ChartTarget>& current = m_chart->current();
    const int panel = current && current->series < 0 ? current->panel : 0;
    if (panel >= static_cast<int>(chart.panels.size()) || !chart.panels[static_cast<std::size_t>(panel)].matrix)
        return;
    const ChartMatrix& matrix = *chart.panels[static_cast<std::size_t>(panel)].matrix;
    const auto row = std::ranges::find(matrix.rowNumbers, m_layer);
    const auto column = std::ranges::find(matrix.columnNumbers, m_head);
    if (row != matrix.rowNumbers.end() && column != matrix.columnNumbers.end())
        m_chart->setCurrent(ChartTarget{panel, -1, -1, static_cast<int>(row - matrix.rowNumbers.begin()),
            static_cast<int>(column - matrix.columnNumbers.begin())});
}

void SparsityView::adoptModel()
{
    m_chart->setChart(m_model->chart());
    markHead();
    m_problem->setText(m_model->problem());
    m_problem->setVisible(!m_model->problem().isEmpty());
    const bool any = m_model->data() != nullptr;
    m_export->setEnabled(any);
    m_copyCommand->setEnabled(any);
}

void SparsityView::showEvent(QShowEvent* event)
{
    QWidget::showEvent(event);
    m_model->setActive(true);
}

void SparsityView::hideEvent(QHideEvent* event)
{
    QWidget::hideEvent(event);
    m_model->setActive(false);
}

void SparsityView::chooseSecond()
{
    if (!m_second.empty()) {
        setSecond({});
        return;
    }
    const QString path
        = QFileDialog::getOpenFileName(this, tr("Compare with"), QString(), tr("Recordings (*.h5);;All files (*)"));
    if (!path.isEmpty())
        setSecond(path.toStdString());
}

void SparsityView::chooseFigureFile()
{
    const QString path = QFileDialog::getSaveFileName(
        this, tr("Save figure"), QStringLiteral("sparsity.pdf"), tr("Figures (*.pdf *.svg *.png *.csv)"));
    if (!path.isEmpty())
        saveFigure(path.toStdString());
}

void SparsityView::saveFigure(const std::filesystem::path& path)
{
    if (m_model->data())
        m_exporter->save(m_model->chart(), ChartPage(), sparsityDescription(*m_model->data()), path);
}

std::shared_ptr<const PanelSpec> SparsityView::figure() const
{
    if (!m_model->data())
        return nullptr;
    SparsityFigure figure;
    figure.request = m_model->request();
    for (std::filesystem::path& recording : figure.request.recordings)
        recording = std::filesystem::absolute(recording);
    figure.measure = m_model->measure();
    return std::make_shared<SparsityPanel>(std::move(figure));
}

QString SparsityView::commandLine() const
{
    return QString::fromStdString(sparsityCommandLine(m_model->request(), m_model->measure(), "sparsity.pdf"));
}

} // namespace kvloupe
