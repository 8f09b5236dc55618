// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/session/main_window.h"

#include "views/composer/composer_desk.h"
#include "views/composer/replay_panel.h"
#include "views/figure/attention_panel.h"
#include "views/heads/head_wall.h"
#include "views/heads/heads_panel.h"
#include "views/jobs/job_desk.h"
#include "views/jobs/jobs_panel.h"
#include "views/jobs/recording_watch.h"
#include "views/jobs/start_page.h"
#include "views/lost/lost_model.h"
#include "views/lost/lost_view.h"
#include "views/map/map_comparison.h"
#include "views/map/map_grid.h"
#include "views/methods/explanation_model.h"
#include "views/methods/method_history.h"
#include "views/methods/methods_panel.h"
#include "views/methods/overlap_view.h"
#include "views/results/results_view.h"
#include "views/selection/selection_history.h"
#include "views/session/error_bar.h"
#include "views/session/export_dialog.h"
#include "views/session/figure_export.h"
#include "views/session/map_page.h"
#include "views/session/sample_finder.h"
#include "views/session/sample_list.h"
#include "views/session/session.h"
#include "views/session/status_line.h"
#include "views/shots/shots_view.h"
#include "views/sparsity/sparsity_view.h"
#include "views/timeline/timeline_view.h"
#include "views/tokens/token_panel.h"
#include "views/tokens/why_panel.h"

#include <QDragEnterEvent>
#include <QFileInfo>
#include <QLabel>
#include <QMimeData>
#include <QStackedWidget>
#include <QStatusBar>
#include <QUrl>
#include <QVBoxLayout>

#include <algorithm>
#include <utility>

namespace kvloupe {

namespace {

QString resultsDock()
{
    return QStringLiteral("resultsDock");
}

QString jobsDock()
{
    return QStringLiteral("jobsDock");
}

QString toText(const std::filesystem::path& path)
{
    return QString::fromStdString(path.string());
}

} // namespace

MainWindow::MainWindow(Settings* settings, QWidget* parent)
    : QMainWindow(parent)
    , m_settings(settings)
    , m_selection(new Selection(this))
    , m_recording(new OpenRecording(m_selection, this))
    , m_methods(new MethodModel(m_selection, this))
    , m_replay(new ReplayModel(m_methods, m_selection, this))
    , m_explanations(new ExplanationModel(models(), this))
    , m_timeline(new TimelineModel(models(), this))
    , m_session(new Session(m_recording, this))
    , m_methodHistory(nullptr)
    , m_selectionHistory(new SelectionHistory(m_selection, this))
    , m_figures(new FigureExport(m_recording, this))
    , m_composerDesk(new ComposerDesk(settings, this))
    , m_sampleFinder(new SampleFinder(models(), this))
    , m_jobDesk(new JobDesk(findKvloupeProgram(), settings, m_methods, this))
    , m_map(nullptr)
    , m_headWall(new HeadWall(m_selection))
    , m_lost(new LostModel(models(), this))
    , m_tokenPanel(new TokenPanel)
    , m_methodsPanel(nullptr)
    , m_sampleList(new SampleList(m_selection))
    , m_errorBar(new ErrorBar)
    , m_centre(new QStackedWidget)
    , m_status(nullptr)
    , m_activity(new QLabel)
    , m_docks(this)
{
    setWindowTitle(tr("KVLoupe"));
    setAcceptDrops(true);
    setDockOptions(AnimatedDocks | AllowNestedDocks | AllowTabbedDocks);

    m_methods->fromSpecs(m_settings->methods().isEmpty() ? MethodModel::defaultSpecs() : m_settings->methods());
    m_methodHistory = new MethodHistory(m_methods, m_session->undoStack(), this);
    m_selection->setKeepPermille(m_settings->keepPermille());
    // The replay comes before the views: they ask it when the sample changes.
    connectModels();
    buildCentre();
    buildDocks();
    offerFigures();
    buildMenus();
    connectViews();
    connectJobs();
    if (!restoreGeometry(m_settings->windowGeometry()))
        resize(1400, 900);
    // Docks that a saved layout does not know yet lie where they do by default.
    restoreDefaultLayout();
    restoreState(m_settings->windowState(), layoutVersion);
    applyColorsToWall();
}

MainWindow::~MainWindow()
{
    // Views read through the source and hold on to the models, which are children of the window as well.
    m_recording->close();
    delete takeCentralWidget();
    m_docks.destroy();
}

void MainWindow::buildCentre()
{
    m_map = new MapPage(models(), m_timeline);
    m_map->heatMap()->setMapStyle(m_settings->mapStyle());
    m_startPage = new StartPage(m_settings, m_jobDesk->jobs(), sampleRecording());
    m_centre->addWidget(m_startPage);
    m_centre->addWidget(m_map);
    auto* central = new QWidget;
    auto* column = new QVBoxLayout(central);
    column->setContentsMargins(0, 0, 0, 0);
    column->setSpacing(0);
    column->addWidget(m_errorBar);
    column->addWidget(m_centre, 1);
    setCentralWidget(central);

    m_status = new StatusLine(models(), m_timeline);
    statusBar()->addWidget(m_status, 1);
    statusBar()->addPermanentWidget(m_activity);
}

/// Every view has its line here: object name, title, widget, where it lies.
void MainWindow::buildDocks()
{
    m_methodsPanel = new MethodsPanel(m_methods, m_replay, m_selection);
    m_tokenPanel->follow(models(), m_timeline);
    m_timelineView = new TimelineView(models(), m_timeline);
    m_whyPanel = new WhyPanel(models(), m_explanations);
    m_shotsView = new ShotsView(models(), m_session);
    m_resultsView = new ResultsView;
    m_sparsityView = new SparsityView;
    m_overlapView = new OverlapView(models());
    m_sparsityView->follow(m_selection);
    m_jobsPanel = new JobsPanel(m_jobDesk->jobs());

    m_docks.add(QStringLiteral("samplesDock"), tr("Samples"), m_sampleList,
        {.area = Qt::LeftDockWidgetArea, .tabWith = {}, .digit = Qt::Key_1, .size = 330, .height = 120});
    m_docks.add(QStringLiteral("headsDock"), tr("Heads"), new HeadsPanel(m_headWall, models(), m_lost, m_session),
        {.area = Qt::LeftDockWidgetArea, .tabWith = {}, .digit = Qt::Key_2, .size = 330});
    m_docks.add(QStringLiteral("methodsDock"), tr("Methods"), m_methodsPanel,
        {.area = Qt::RightDockWidgetArea, .tabWith = {}, .digit = Qt::Key_3, .size = 430, .height = 440});
    m_docks.add(QStringLiteral("textDock"), tr("Text"), m_tokenPanel,
        {.area = Qt::BottomDockWidgetArea, .tabWith = {}, .digit = Qt::Key_4, .size = 240});
    m_docks.add(QStringLiteral("timelineDock"), tr("Timeline"), m_timelineView,
        {.area = Qt::BottomDockWidgetArea, .tabWith = QStringLiteral("textDock"), .digit = Qt::Key_7});
    m_docks.add(QStringLiteral("whyDock"), tr("Why"), m_whyPanel,
        {.area = Qt::RightDockWidgetArea, .tabWith = {}, .digit = Qt::Key_5, .size = 430});
    m_docks.add(QStringLiteral("overlapDock"), tr("Overlap"), m_overlapView,
        {.area = Qt::RightDockWidgetArea, .tabWith = QStringLiteral("whyDock"), .digit = Qt::Key_0});
    m_docks.add(QStringLiteral("shotsDock"), tr("Shots"), m_shotsView,
        {.area = Qt::BottomDockWidgetArea, .tabWith = QStringLiteral("textDock"), .digit = Qt::Key_6});
    m_docks.add(resultsDock(), tr("Results"), m_resultsView,
        {.area = Qt::BottomDockWidgetArea, .tabWith = QStringLiteral("textDock"), .digit = Qt::Key_8, .isOpen = false});
    m_docks.add(QStringLiteral("lostDock"), tr("Lost Attention"), new LostView(models(), m_lost),
        {.area = Qt::RightDockWidgetArea, .tabWith = QStringLiteral("whyDock"), .digit = Qt::Key_L, .isOpen = false});
    m_docks.add(QStringLiteral("sparsityDock"), tr("Sparsity"), m_sparsityView,
        {.area = Qt::BottomDockWidgetArea, .tabWith = QStringLiteral("textDock"), .digit = Qt::Key_9, .isOpen = false});
    m_docks.add(jobsDock(), tr("Jobs"), m_jobsPanel,
        {.area = Qt::BottomDockWidgetArea, .tabWith = QStringLiteral("textDock"), .digit = Qt::Key_J, .isOpen = false});
}

void MainWindow::offerFigures()
{
    const auto map = [this]() -> std::shared_ptr<const PanelSpec> {
        if (!m_recording->sample())
            return nullptr;
        FigureSpec spec = currentFigure();
        spec.recording = std::filesystem::absolute(spec.recording);
        return std::make_shared<AttentionPanel>(std::move(spec));
    };
    using Scope = ReplayPanel::Scope;
    const auto replayed = [this](const char* name, Scope scope) {
        return [this, name, scope]() -> std::shared_ptr<const PanelSpec> {
            return m_recording->sample() ? ReplayPanel::ofView(name, currentFigure(), scope) : nullptr;
        };
    };
    m_composerDesk->setOffers(
        {{tr("Attention map"), m_map, map}, {tr("Results"), m_resultsView, [this] { return m_resultsView->figure(); }},
            {tr("Sparsity"), m_sparsityView, [this] { return m_sparsityView->figure(); }},
            {tr("Heads"), m_headWall, replayed("heads", Scope::NoMethods)},
            {tr("Text"), m_tokenPanel, replayed("text", Scope::MethodInFront)},
            {tr("Timeline"), m_timelineView, replayed("timeline", Scope::HeadInView)},
            {tr("Shots"), m_shotsView, replayed("shots", Scope::AllMethods)},
            {tr("Overlap"), m_overlapView, replayed("overlap", Scope::AllMethods)}});
}

void MainWindow::connectModels()
{
    connect(m_recording, &OpenRecording::sampleChanged, m_replay,
        [this] { m_replay->setSample(m_recording->source(), m_recording->sample()); });
    connect(m_recording, &OpenRecording::layoutChanged, m_replay,
        [this] { m_replay->setSample(m_recording->source(), m_recording->sample()); });
    connect(m_recording, &OpenRecording::failed, this, &MainWindow::report);
    connect(m_recording, &OpenRecording::sampleChanged, m_selectionHistory, [this] {
        if (m_recording->sample())
            m_selectionHistory->sampleArrived();
    });
    connect(m_recording, &OpenRecording::opened, this, [this] {
        m_settings->addRecentFile(QFileInfo(toText(recordingPath())).absoluteFilePath());
        setWindowTitle(tr("%1 - KVLoupe").arg(toText(recordingPath().filename())));
        setWindowFilePath(toText(recordingPath()));
        m_activity->clear();
    });
    connect(m_selection, &Selection::keepChanged, m_settings, &Settings::setKeepPermille);
    connect(m_methods, &MethodModel::methodsChanged, this, [this] { m_settings->setMethods(m_methods->toSpecs()); });
    connect(m_session, &Session::failed, this, &MainWindow::report);
    connect(m_composerDesk, &ComposerDesk::figureSaved, this, &MainWindow::figureSaved);
    connect(m_figures, &FigureExport::failed, this, &MainWindow::report);
    connect(m_figures, &FigureExport::saved, this, [this](const QString& path) {
        m_activity->setText(tr("Wrote %1").arg(path));
        emit figureSaved(path);
    });
}

void MainWindow::connectViews()
{
    HeatMapView* map = heatMap();
    connect(m_recording, &OpenRecording::sampleChanged, this, &MainWindow::showRecording);
    connect(m_recording, &OpenRecording::opened, this, [this] { m_sampleList->setSamples(m_recording->samples()); });
    connect(map, &HeatMapView::cellHovered, m_status, &StatusLine::showValue);
    connect(map, &HeatMapView::cellFactsKnown, m_status, &StatusLine::showFacts);
    connect(map, &HeatMapView::pinnedChanged, m_status, &StatusLine::setPinned);
    connect(map, &HeatMapView::statusText, m_activity, &QLabel::setText);
    connect(map, &HeatMapView::mapWindowChanged, m_status, [this, map] { m_status->setPooling(map->poolingText()); });
    connect(map, &HeatMapView::failed, this, &MainWindow::report);
    connect(map, &HeatMapView::lensChanged, m_status, [this, map] {
        m_status->setPooling(map->poolingText());
        m_status->setContent(map->content());
    });
    connect(m_map->grid(), &MapGrid::failed, this, &MainWindow::report);
    connect(m_map->comparison(), &MapComparison::problem, this, &MainWindow::report);
    connect(m_headWall, &HeadWall::failed, this, &MainWindow::report);
    connect(m_resultsView, &ResultsView::problem, this, &MainWindow::report);
    connect(m_resultsView, &ResultsView::figureSaved, this, &MainWindow::figureSaved);
    connect(m_resultsView, &ResultsView::sampleChosen, m_sampleFinder, &SampleFinder::find);
    connect(m_sampleFinder, &SampleFinder::notFound, m_errorBar, &ErrorBar::showMessage);
    connect(
        m_sampleFinder, &SampleFinder::notRecorded, this, [this](const ChosenSample& sample, const QString& message) {
            m_errorBar->offer(message, tr("Record This Sample..."), [this, sample] { m_jobDesk->propose(sample); });
        });
    connect(m_sampleFinder, &SampleFinder::found, m_errorBar, &ErrorBar::hide);
    connect(m_sparsityView, &SparsityView::problem, this, &MainWindow::report);
    connect(m_sparsityView, &SparsityView::figureSaved, this, &MainWindow::figureSaved);
    connect(map, &HeatMapView::mapStyleChanged, this, [this, map](const MapStyle& style) {
        m_settings->setMapStyle(style);
        applyColorsToWall();
        m_status->setPooling(map->poolingText());
    });
}

void MainWindow::connectJobs()
{
    new RecordingWatch(m_recording, this);
    connect(
        m_recording, &OpenRecording::samplesAdded, this, [this] { m_sampleList->setSamples(m_recording->samples()); });
    connect(m_jobDesk, &JobDesk::started, this, [this] { m_docks.raise(jobsDock()); });
    connect(m_jobDesk, &JobDesk::problem, this, &MainWindow::report);
    connect(m_jobDesk, &JobDesk::closeWanted, this, &QWidget::close, Qt::QueuedConnection);
    // Results stand beside what is open; a recording would take its place.
    connect(m_jobDesk, &JobDesk::resultAppeared, this, [this](const QString& path) {
        if (isResultsFile(path.toStdString()) || !m_recording->isOpen())
            open(path.toStdString());
    });
    connect(m_jobDesk, &JobDesk::sampleRecorded, this, [this](const QString& path, const ChosenSample& sample) {
        open(path.toStdString());
        m_sampleFinder->findWhenOpen(sample);
    });
    connect(m_jobsPanel, &JobsPanel::openRequested, this, [this](const Job* job) { open(job->request().result); });
    connect(m_jobsPanel, &JobsPanel::repeatRequested, m_jobDesk, &JobDesk::repeat);
    connect(m_startPage, &StartPage::openRequested, this, &MainWindow::chooseAndOpen);
    connect(m_startPage, &StartPage::fileChosen, this, [this](const QString& path) { open(path.toStdString()); });
    connect(m_startPage, &StartPage::recordRequested, m_jobDesk, &JobDesk::showRecordDialog);
    connect(m_startPage, &StartPage::evaluateRequested, m_jobDesk, &JobDesk::showEvaluateDialog);
    connect(m_startPage, &StartPage::jobsRequested, this, [this] { m_docks.raise(jobsDock()); });
}

void MainWindow::applyColorsToWall()
{
    const MapStyle& style = heatMap()->mapStyle();
    m_headWall->setColors(style.colorMap, style.scale, style.range);
    m_headWall->setPooling(style.pooling);
}

HeatMapView* MainWindow::heatMap() const
{
    return m_map->heatMap();
}

void MainWindow::open(const std::filesystem::path& path, StartView start)
{
    m_lastProblem.clear();
    if (isResultsFile(path)) {
        showResults(path);
        return;
    }
    m_recording->open(path, std::move(start));
    m_sampleList->setSamples({});
    m_activity->setText(tr("Opening %1").arg(toText(path.filename())));
    setWindowTitle(tr("KVLoupe"));
    m_reloadAction->setEnabled(true);
}

void MainWindow::showResults(const std::filesystem::path& path)
{
    m_settings->addRecentFile(QFileInfo(toText(path)).absoluteFilePath());
    m_resultsView->addFiles({path});
    m_docks.raise(resultsDock());
    // Small multiples need room: half of the window, and more while there is no recording to see.
    m_docks.setHeight(resultsDock(), m_recording->isOpen() ? height() / 2 : height() * 3 / 4);
}

void MainWindow::showRecording()
{
    const SampleModelPtr& sample = m_recording->sample();
    m_headWall->setSample(sample, m_recording->source());
    m_exportAction->setEnabled(sample != nullptr);
    m_centre->setCurrentIndex(sample ? 1 : 0);
    if (sample)
        emit sampleShown(sample->sample);
}

bool MainWindow::isReady() const
{
    const ResultsModel* results = m_resultsView->model();
    if (results->isBusy() || m_sparsityView->model()->isBusy())
        return false;
    if (!m_recording->isOpen())
        return !results->files().empty();
    return m_recording->sample() && !m_recording->isReading() && m_replay->isSettled() && m_explanations->isSettled()
        && heatMap()->isLoaded() && m_headWall->isLoaded() && m_timeline->isSettled();
}

QStringList MainWindow::viewNames() const
{
    QStringList names;
    for (const QDockWidget* dock : m_docks.all())
        names << dock->objectName().chopped(4);
    return names;
}

QString MainWindow::statusLine() const
{
    return m_status->text();
}

void MainWindow::report(const QString& message)
{
    m_lastProblem = message;
    m_activity->clear();
    m_errorBar->showMessage(message);
    emit problem(message);
}

FigureSpec MainWindow::currentFigure() const
{
    return m_map->currentFigure();
}

void MainWindow::saveFigure(const FigureSpec& spec, const std::filesystem::path& path)
{
    m_activity->setText(tr("Writing %1").arg(toText(path.filename())));
    m_figures->save(spec, path);
}

void MainWindow::showExportDialog()
{
    if (!m_recording->sample())
        return;
    ExportDialog dialog(m_recording->source(), currentFigure(), m_settings, this);
    connect(&dialog, &ExportDialog::saveRequested, this, &MainWindow::saveFigure);
    dialog.exec();
}

void MainWindow::closeEvent(QCloseEvent* event)
{
    if (!m_jobDesk->mayClose()) {
        event->ignore();
        return;
    }
    m_settings->setWindow(saveGeometry(), saveState(layoutVersion));
    QMainWindow::closeEvent(event);
    if (event->isAccepted())
        emit closed();
}

void MainWindow::dragEnterEvent(QDragEnterEvent* event)
{
    const QList<QUrl> urls = event->mimeData()->urls();
    if (std::ranges::any_of(urls, &QUrl::isLocalFile))
        event->acceptProposedAction();
}

void MainWindow::dropEvent(QDropEvent* event)
{
    QStringList files;
    for (const QUrl& url : event->mimeData()->urls()) {
        if (url.isLocalFile())
            files << url.toLocalFile();
    }
    if (files.isEmpty())
        return;
    event->acceptProposedAction();
    const auto results
        = std::ranges::stable_partition(files, [](const QString& file) { return !isResultsFile(file.toStdString()); });
    for (const QString& file : results)
        open(file.toStdString());
    files.erase(results.begin(), results.end());
    if (files.isEmpty())
        return;
    open(files.takeFirst().toStdString());
    for (const QString& file : std::as_const(files))
        emit windowRequested(file);
}

} // namespace kvloupe
