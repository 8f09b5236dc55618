// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/results/results_view.h"

#include "views/chart/chart_exporter.h"
#include "views/chart/chart_view.h"
#include "views/results/results_figure.h"

#include <QAction>
#include <QClipboard>
#include <QComboBox>
#include <QDragEnterEvent>
#include <QFileDialog>
#include <QGuiApplication>
#include <QHeaderView>
#include <QLabel>
#include <QMimeData>
#include <QPlainTextEdit>
#include <QScrollArea>
#include <QShortcut>
#include <QSignalBlocker>
#include <QSplitter>
#include <QTableView>
#include <QToolBar>
#include <QUrl>
#include <QVBoxLayout>

#include <utility>

namespace kvloupe {

namespace {

QString filterText(SampleFilter filter, int count)
{
    switch (filter) {
    case SampleFilter::All:
        return ResultsView::tr("All samples (%1)").arg(count);
    case SampleFilter::Wrong:
        return ResultsView::tr("Not right (%1)").arg(count);
    case SampleFilter::Lost:
        return ResultsView::tr("Lost against the full cache (%1)").arg(count);
    case SampleFilter::Gained:
        return ResultsView::tr("Gained against the full cache (%1)").arg(count);
    case SampleFilter::Skipped:
        break;
    }
    return ResultsView::tr("Skipped (%1)").arg(count);
}

QString linesText(ResultLines lines)
{
    switch (lines) {
    case ResultLines::Methods:
        return ResultsView::tr("Methods");
    case ResultLines::Tasks:
        return ResultsView::tr("Tasks (mean of methods)");
    case ResultLines::Shots:
        return ResultsView::tr("Shots (mean of methods)");
    case ResultLines::Models:
        break;
    }
    return ResultsView::tr("Models (mean of methods)");
}

QStringList localFiles(const QMimeData* data)
{
    QStringList files;
    for (const QUrl& url : data->urls())
        if (url.isLocalFile() && isResultsFile(url.toLocalFile().toStdString()))
            files << url.toLocalFile();
    return files;
}

} // namespace

ResultsView::ResultsView(QWidget* parent)
    : QWidget(parent)
    , m_model(new ResultsModel(this))
    , m_samples(new ResultSamples(this))
    , m_filtered(new FilteredSamples(m_samples, this))
    , m_exporter(new ChartExporter(this))
    , m_toolBar(new QToolBar(tr("Results"), this))
    , m_activity(new QLabel(this))
    , m_remarks(new QLabel(this))
    , m_chart(new ChartView(this))
{
    setAcceptDrops(true);
    setAccessibleName(tr("Results"));
    buildToolBar();
    m_remarks->setWordWrap(true);
    m_remarks->setTextFormat(Qt::PlainText);
    m_remarks->setTextInteractionFlags(Qt::TextSelectableByMouse | Qt::TextSelectableByKeyboard);
    m_remarks->setContentsMargins(6, 4, 6, 4);
    m_remarks->setAccessibleName(tr("What is wrong with the files"));
    m_remarks->setObjectName(QStringLiteral("resultsRemarks"));
    m_remarks->hide();
    m_chart->setAccessibleName(tr("Results by task, method and budget"));
    m_chart->setEmptyText(tr("Drop a results file of kvloupe evaluate here"));

    auto* scroll = new QScrollArea(this);
    scroll->setWidgetResizable(true);
    scroll->setFrameShape(QFrame::NoFrame);
    scroll->setWidget(m_chart);
    scroll->setFocusPolicy(Qt::NoFocus);
    auto* splitter = new QSplitter(Qt::Vertical, this);
    splitter->addWidget(scroll);
    splitter->addWidget(buildSamples());
    splitter->setStretchFactor(0, 3);
    splitter->setStretchFactor(1, 2);
    splitter->setChildrenCollapsible(false);
    auto* column = new QVBoxLayout(this);
    column->setContentsMargins(0, 0, 0, 0);
    column->setSpacing(0);
    column->addWidget(m_toolBar);
    column->addWidget(m_remarks);
    column->addWidget(splitter, 1);

    connect(m_model, &ResultsModel::changed, this, &ResultsView::adoptModel);
    connect(m_model, &ResultsModel::busyChanged, this,
        [this](bool busy) { m_activity->setText(busy ? tr("Reading results") : QString()); });
    connect(m_chart, &ChartView::chosen, this, &ResultsView::showSamples);
    connect(m_exporter, &ChartExporter::saved, this, &ResultsView::figureSaved);
    connect(m_exporter, &ChartExporter::failed, this, &ResultsView::problem);
}

ResultsView::~ResultsView() = default;

void ResultsView::buildToolBar()
{
    m_toolBar->setMovable(false);
    const auto combo = [this](const QString& label, const QString& name) {
        auto* caption = new QLabel(label, m_toolBar);
        caption->setContentsMargins(6, 0, 2, 0);
        auto* box = new QComboBox(m_toolBar);
        box->setAccessibleName(name);
        caption->setBuddy(box);
        m_toolBar->addWidget(caption);
        m_toolBar->addWidget(box);
        return box;
    };
    m_measure = combo(tr("&Show"), tr("Measure"));
    m_measure->setObjectName(QStringLiteral("resultsMeasure"));
    for (const ResultMeasure measure : allResultMeasures) {
        m_measure->addItem(resultMeasureLabel(measure), static_cast<int>(measure));
        m_measure->setItemData(m_measure->count() - 1, resultMeasureHelp(measure), Qt::ToolTipRole);
    }
    m_axis = combo(tr("o&ver"), tr("Budget axis"));
    m_axis->setObjectName(QStringLiteral("resultsAxis"));
    for (const ResultAxis axis : allResultAxes)
        m_axis->addItem(resultAxisLabel(axis), static_cast<int>(axis));
    m_axis->setToolTip(tr("Budgets as a share of the prompt or in tokens per head, as asked for or as really kept"));
    m_lines = combo(tr("&Lines"), tr("Lines"));
    m_lines->setObjectName(QStringLiteral("resultsLines"));
    for (const ResultLines lines : allResultLines)
        m_lines->addItem(linesText(lines), static_cast<int>(lines));
    m_lines->setToolTip(tr("What one line of a panel is; the rest tells panels apart"));
    const auto toggle = [this](const QString& text, const QString& help, bool on) {
        QAction* action = m_toolBar->addAction(text);
        action->setCheckable(true);
        action->setChecked(on);
        action->setToolTip(help);
        return action;
    };
    m_paper = toggle(tr("Paper"),
        tr("Under each panel, what arXiv 2502.01941 prints for such a task: other models and data, dashed, never mixed "
           "with measurements"),
        false);
    m_sameScale = toggle(tr("Same scale"), tr("One range of the y axis for all panels"), true);
    m_toolBar->addSeparator();
    m_export = m_toolBar->addAction(tr("Save figure..."));
    m_export->setToolTip(tr("Writes these panels as PDF, SVG, PNG or CSV"));
    m_copyCommand = m_toolBar->addAction(tr("Copy command"));
    m_copyCommand->setToolTip(tr("Copies the kvloupe figure command that makes the same figure"));
    m_activity->setContentsMargins(8, 0, 4, 0);
    m_toolBar->addWidget(m_activity);
    m_export->setEnabled(false);
    m_copyCommand->setEnabled(false);

    const auto adopt = [this] {
        ResultsSpec spec = m_model->spec();
        spec.measure = static_cast<ResultMeasure>(m_measure->currentData().toInt());
        spec.axis = static_cast<ResultAxis>(m_axis->currentData().toInt());
        spec.lines = static_cast<ResultLines>(m_lines->currentData().toInt());
        spec.paper = m_paper->isChecked();
        spec.sameScale = m_sameScale->isChecked();
        m_measure->setToolTip(resultMeasureHelp(spec.measure));
        m_model->setSpec(std::move(spec));
    };
    for (QComboBox* box : {m_measure, m_axis, m_lines})
        connect(box, &QComboBox::currentIndexChanged, this, adopt);
    connect(m_paper, &QAction::toggled, this, adopt);
    connect(m_sameScale, &QAction::toggled, this, adopt);
    connect(m_export, &QAction::triggered, this, &ResultsView::chooseFigureFile);
    connect(m_copyCommand, &QAction::triggered, this, [this] { QGuiApplication::clipboard()->setText(commandLine()); });
    m_measure->setToolTip(resultMeasureHelp(m_model->spec().measure));
}

QWidget* ResultsView::buildSamples()
{
    m_samplePanel = new QWidget(this);
    m_point = new QLabel(m_samplePanel);
    m_point->setTextFormat(Qt::PlainText);
    m_point->setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Preferred);
    m_point->setObjectName(QStringLiteral("resultsPoint"));
    m_filter = new QComboBox(m_samplePanel);
    m_filter->setAccessibleName(tr("Which samples are listed"));
    m_filter->setObjectName(QStringLiteral("resultsFilter"));
    for (const SampleFilter filter : allSampleFilters)
        m_filter->addItem(filterText(filter, 0), static_cast<int>(filter));
    m_table = new QTableView(m_samplePanel);
    m_table->setModel(m_filtered);
    m_table->setAccessibleName(tr("Samples of the chosen point"));
    m_table->setSelectionBehavior(QAbstractItemView::SelectRows);
    m_table->setSelectionMode(QAbstractItemView::SingleSelection);
    m_table->setSortingEnabled(true);
    m_table->sortByColumn(-1, Qt::AscendingOrder);
    m_table->setWordWrap(false);
    m_table->verticalHeader()->hide();
    m_table->verticalHeader()->setDefaultSectionSize(m_table->fontMetrics().height() + 6);
    m_table->horizontalHeader()->setStretchLastSection(false);
    m_table->horizontalHeader()->setSectionResizeMode(ResultSamples::OutputColumn, QHeaderView::Stretch);
    m_table->setTabKeyNavigation(false);
    m_details = new QPlainTextEdit(m_samplePanel);
    m_details->setReadOnly(true);
    m_details->setAccessibleName(tr("Output of the chosen sample"));
    m_details->setPlaceholderText(tr("The output of the sample that is chosen in the table"));

    auto* head = new QHBoxLayout;
    head->setContentsMargins(6, 4, 6, 4);
    head->addWidget(m_point, 1);
    head->addWidget(m_filter);
    auto* halves = new QSplitter(Qt::Horizontal, m_samplePanel);
    halves->addWidget(m_table);
    halves->addWidget(m_details);
    halves->setStretchFactor(0, 3);
    halves->setStretchFactor(1, 2);
    auto* column = new QVBoxLayout(m_samplePanel);
    column->setContentsMargins(0, 0, 0, 0);
    column->setSpacing(0);
    column->addLayout(head);
    column->addWidget(halves, 1);
    m_samplePanel->hide();

    connect(m_filter, &QComboBox::currentIndexChanged, this,
        [this] { m_filtered->setFilter(static_cast<SampleFilter>(m_filter->currentData().toInt())); });
    connect(m_table, &QTableView::clicked, this, &ResultsView::chooseSample);
    connect(m_table->selectionModel(), &QItemSelectionModel::currentRowChanged, this, &ResultsView::showDetails);
    for (const Qt::Key key : {Qt::Key_Return, Qt::Key_Enter}) {
        auto* shortcut = new QShortcut(key, m_table, nullptr, nullptr, Qt::WidgetShortcut);
        connect(shortcut, &QShortcut::activated, this, [this] { chooseSample(m_table->currentIndex()); });
    }
    return m_samplePanel;
}

void ResultsView::adoptModel()
{
    const std::optional<ChartTarget> before = m_chart->current();
    std::optional<ChartTarget> same;
    if (before)
        same = m_model->sameTarget(*before, m_chart->chart());
    m_chart->setCurrent(std::nullopt);
    m_chart->setChart(m_model->chart());
    m_chart->setCurrent(same);
    const QString remarks = m_model->remarks();
    m_remarks->setText(remarks);
    m_remarks->setVisible(!remarks.isEmpty());
    const bool any = !m_model->chart().panels.empty();
    m_export->setEnabled(any);
    m_copyCommand->setEnabled(any);
    if (!m_model->files().empty())
        m_chart->setEmptyText(m_model->data()->rows.empty()
                ? tr("No complete sample yet; new ones are shown as they are written")
                : tr("None of the samples has this measure"));
    if (m_samplePanel->isVisible()) {
        if (same) {
            showSamples();
        } else {
            m_samples->clear();
            m_samplePanel->hide();
        }
    }
}

void ResultsView::showSamples()
{
    const std::optional<ChartTarget> target = m_chart->current();
    if (!target)
        return;
    const QString text = targetText(m_model->chart(), *target);
    const QString chosen = m_table->currentIndex().siblingAtColumn(ResultSamples::SampleColumn).data().toString();
    m_point->setText(text.section(QLatin1Char('\n'), 0, 0));
    m_point->setToolTip(text);
    m_samples->setRows(m_model->data(), m_model->rowsOf(*target));
    m_table->setColumnHidden(ResultSamples::MethodColumn, m_model->spec().lines == ResultLines::Methods);
    for (int index = 0; index < m_filter->count(); ++index)
        m_filter->setItemText(index,
            filterText(allSampleFilters[static_cast<std::size_t>(index)],
                m_filtered->count(allSampleFilters[static_cast<std::size_t>(index)])));
    m_details->clear();
    m_samplePanel->show();
    // The same sample stays in view when methods and budgets are compared.
    for (int row = 0; row < m_filtered->rowCount() && !chosen.isEmpty(); ++row)
        if (m_filtered->index(row, ResultSamples::SampleColumn).data().toString() == chosen) {
            m_table->setCurrentIndex(m_filtered->index(row, ResultSamples::SampleColumn));
            break;
        }
}

void ResultsView::showDetails(const QModelIndex& index)
{
    const QModelIndex source = m_filtered->mapToSource(index);
    m_details->setPlainText(source.isValid() ? m_samples->details(source.row()) : QString());
}

void ResultsView::chooseSample(const QModelIndex& index)
{
    const QModelIndex source = m_filtered->mapToSource(index);
    if (!source.isValid())
        return;
    const ResultRow& row = m_samples->row(source.row());
    emit sampleChosen({row.key, row.suite, row.model, row.prompt, row.method.spec, row.budget.keep});
}

void ResultsView::chooseFigureFile()
{
    const QString path = QFileDialog::getSaveFileName(
        this, tr("Save figure"), QStringLiteral("results.pdf"), tr("Figures (*.pdf *.svg *.png *.csv)"));
    if (!path.isEmpty())
        saveFigure(path.toStdString());
}

void ResultsView::saveFigure(const std::filesystem::path& path)
{
    m_exporter->save(m_model->chart(), ChartPage(), resultsDescription(*m_model->data()), path);
}

QString ResultsView::commandLine() const
{
    return QString::fromStdString(resultsCommandLine(m_model->spec(), m_model->files(), "results.pdf"));
}

std::shared_ptr<const PanelSpec> ResultsView::figure() const
{
    if (m_model->chart().panels.empty())
        return nullptr;
    ResultsFigure figure;
    for (const std::filesystem::path& file : m_model->files())
        figure.files.push_back(std::filesystem::absolute(file));
    figure.spec = m_model->spec();
    return std::make_shared<ResultsPanel>(std::move(figure));
}

void ResultsView::dragEnterEvent(QDragEnterEvent* event)
{
    if (!localFiles(event->mimeData()).isEmpty())
        event->acceptProposedAction();
}

void ResultsView::dropEvent(QDropEvent* event)
{
    std::vector<std::filesystem::path> files;
    for (const QString& file : localFiles(event->mimeData()))
        files.emplace_back(file.toStdString());
    if (files.empty())
        return;
    event->acceptProposedAction();
    addFiles(files);
}

} // namespace kvloupe
