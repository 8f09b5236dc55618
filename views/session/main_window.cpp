// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/session/main_window.h"

#include "views/figure/attention_figure.h"
#include "views/heads/head_wall.h"
#include "views/methods/methods_panel.h"
#include "views/session/error_bar.h"
#include "views/session/export_dialog.h"
#include "views/session/map_tool_bar.h"
#include "views/session/sample_list.h"
#include "views/session/status_text.h"
#include "views/tokens/token_panel.h"

#include <QDockWidget>
#include <QDragEnterEvent>
#include <QFileInfo>
#include <QLabel>
#include <QMimeData>
#include <QStackedWidget>
#include <QStatusBar>
#include <QUrl>
#include <QVBoxLayout>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

namespace kvloupe {

namespace {

std::filesystem::path toPath(const QString& text)
{
    return {text.toStdString()};
}

QString toText(const std::filesystem::path& path)
{
    return QString::fromStdString(path.string());
}

/// What the first look at a recording gives.
struct RecordingContents {
    std::vector<SampleInfo> samples;
};

/// A figure, or one line that says why there is none.
struct FigureOutcome {
    std::shared_ptr<FigureData> data;
    QString problem;
};

} // namespace

MainWindow::MainWindow(Settings* settings, QWidget* parent)
    : QMainWindow(parent)
    , m_settings(settings)
    , m_selection(new Selection(this))
    , m_methods(new MethodModel(this))
    , m_replay(new ReplayModel(m_methods, this))
    , m_heatMap(new HeatMapView(m_selection))
    , m_toolBar(new MapToolBar(m_heatMap, m_selection))
    , m_headWall(new HeadWall(m_selection))
    , m_tokenPanel(new TokenPanel)
    , m_methodsPanel(nullptr)
    , m_sampleList(new SampleList(m_selection))
    , m_errorBar(new ErrorBar)
    , m_centre(new QStackedWidget)
    , m_status(new QLabel)
    , m_activity(new QLabel)
{
    setWindowTitle(tr("KVLoupe"));
    setAcceptDrops(true);
    setDockOptions(AnimatedDocks | AllowNestedDocks | AllowTabbedDocks);

    m_methods->fromSpecs(m_settings->methods().isEmpty() ? MethodModel::defaultSpecs() : m_settings->methods());
    m_replay->setKeepPermille(m_settings->keepPermille());
    m_methodsPanel = new MethodsPanel(m_methods, m_replay);
    m_heatMap->setMapStyle(m_settings->mapStyle());
    m_tokenPanel->view()->setSelection(m_selection);

    auto* welcome = new QLabel(tr("Open a recording with Ctrl+O, or drop one here.\n\n"
                                  "kvloupe capture MODEL --prompt-file FILE --out RECORDING.h5 makes one."));
    welcome->setAlignment(Qt::AlignCenter);
    welcome->setTextInteractionFlags(Qt::TextSelectableByMouse);
    welcome->setObjectName(QStringLiteral("welcome"));
    auto* map = new QWidget;
    auto* mapColumn = new QVBoxLayout(map);
    mapColumn->setContentsMargins(0, 0, 0, 0);
    mapColumn->setSpacing(0);
    mapColumn->addWidget(m_toolBar);
    mapColumn->addWidget(m_heatMap, 1);
    m_centre->addWidget(welcome);
    m_centre->addWidget(map);
    auto* central = new QWidget;
    auto* column = new QVBoxLayout(central);
    column->setContentsMargins(0, 0, 0, 0);
    column->setSpacing(0);
    column->addWidget(m_errorBar);
    column->addWidget(m_centre, 1);
    setCentralWidget(central);

    m_status->setTextFormat(Qt::PlainText);
    m_status->setTextInteractionFlags(Qt::TextSelectableByMouse | Qt::TextSelectableByKeyboard);
    m_status->setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Preferred);
    m_status->setAccessibleName(tr("Cell in view"));
    m_status->setObjectName(QStringLiteral("statusLine"));
    statusBar()->addWidget(m_status, 1);
    statusBar()->addPermanentWidget(m_activity);

    buildDocks();
    buildMenus();
    connectViews();
    if (!restoreGeometry(m_settings->windowGeometry()))
        resize(1400, 900);
    if (!restoreState(m_settings->windowState(), layoutVersion))
        restoreDefaultLayout();
    applyColorsToWall();
}

MainWindow::~MainWindow()
{
    // The views read through the source, so they let go of it first.
    m_replay->setSample(nullptr, nullptr);
    m_heatMap->setSample(nullptr, static_cast<RecordingSource*>(nullptr));
    m_headWall->setSample(nullptr, static_cast<RecordingSource*>(nullptr));
    // Views hold on to the models, which are children of the window as well: views go first.
    delete takeCentralWidget();
    for (QDockWidget* dock : m_docks)
        delete dock;
}

void MainWindow::buildDocks()
{
    const auto dock = [this](const QString& title, const QString& name, QWidget* contents, Qt::Key digit) {
        auto* widget = new QDockWidget(title, this);
        widget->setObjectName(name);
        widget->setWidget(contents);
        widget->toggleViewAction()->setShortcut(QKeySequence(Qt::ALT | digit));
        m_docks.push_back(widget);
    };
    dock(tr("Samples"), QStringLiteral("samplesDock"), m_sampleList, Qt::Key_1);
    dock(tr("Heads"), QStringLiteral("headsDock"), m_headWall, Qt::Key_2);
    dock(tr("Methods"), QStringLiteral("methodsDock"), m_methodsPanel, Qt::Key_3);
    dock(tr("Text"), QStringLiteral("textDock"), m_tokenPanel, Qt::Key_4);
}

void MainWindow::restoreDefaultLayout()
{
    const std::array areas{
        Qt::LeftDockWidgetArea, Qt::LeftDockWidgetArea, Qt::RightDockWidgetArea, Qt::BottomDockWidgetArea};
    for (std::size_t index = 0; index < m_docks.size(); ++index) {
        m_docks[index]->setFloating(false);
        addDockWidget(areas[index], m_docks[index]);
        m_docks[index]->show();
    }
    setCorner(Qt::BottomLeftCorner, Qt::LeftDockWidgetArea);
    setCorner(Qt::BottomRightCorner, Qt::BottomDockWidgetArea);
    resizeDocks({m_docks[0], m_docks[1]}, {130, 700}, Qt::Vertical);
    resizeDocks({m_docks[1], m_docks[2]}, {330, 430}, Qt::Horizontal);
    resizeDocks({m_docks[3]}, {210}, Qt::Vertical);
}

void MainWindow::connectViews()
{
    connect(m_selection, &Selection::sampleChanged, this, &MainWindow::requestSample);
    connect(m_selection, &Selection::headChanged, this, [this](int layer, int head) {
        m_cellValue.reset();
        m_replay->setHead(layer, head);
        updateStatus();
    });
    connect(m_selection, &Selection::cellChanged, this, [this] {
        m_cellValue.reset();
        updateStatus();
    });
    connect(m_heatMap, &HeatMapView::cellHovered, this, [this](qint64 query, qint64 key, float value, bool exact) {
        if (query != m_selection->query() || key != m_selection->key())
            return;
        m_cellValue = value;
        m_cellExact = exact;
        updateStatus();
    });
    connect(m_heatMap, &HeatMapView::statusText, m_activity, &QLabel::setText);
    connect(m_heatMap, &HeatMapView::mapWindowChanged, this, &MainWindow::updateStatus);
    connect(m_heatMap, &HeatMapView::failed, this, &MainWindow::report);
    connect(m_headWall, &HeadWall::failed, this, &MainWindow::report);
    connect(m_heatMap, &HeatMapView::mapStyleChanged, this, [this](const MapStyle& style) {
        m_settings->setMapStyle(style);
        applyColorsToWall();
        updateStatus();
    });
    connect(m_replay, &ReplayModel::changed, this, [this] {
        m_settings->setKeepPermille(m_replay->keepPermille());
        showReplay();
    });
    connect(m_methods, &MethodModel::methodsChanged, this, [this] { m_settings->setMethods(m_methods->toSpecs()); });
    connect(m_methods, &MethodModel::currentChanged, this, &MainWindow::showReplay);
}

void MainWindow::applyColorsToWall()
{
    const MapStyle& style = m_heatMap->mapStyle();
    m_headWall->setColors(style.colorMap, style.scale, style.range);
    m_headWall->setPooling(style.pooling);
}

void MainWindow::open(const std::filesystem::path& path, StartView start)
{
    closeRecording();
    m_start = std::move(start);
    m_lastProblem.clear();
    m_source = std::make_unique<RecordingSource>(path);
    m_activity->setText(tr("Opening %1").arg(toText(path.filename())));
    connect(m_source.get(), &RecordingSource::failed, this, [this](const QString& message) {
        m_readingSample = false;
        report(message);
    });
    connect(m_source.get(), &RecordingSource::opened, this, [this, path] {
        m_settings->addRecentFile(QFileInfo(toText(path)).absoluteFilePath());
        setWindowTitle(tr("%1 - KVLoupe").arg(toText(path.filename())));
        setWindowFilePath(toText(path));
    });
    m_readingSample = true;
    m_source->run<RecordingContents>(
        this, RecordingSource::Priority::Immediate,
        [](RecordingAccess& access) {
            RecordingContents contents;
            for (int sample = 0; sample < access.recording.sampleCount(); ++sample)
                contents.samples.push_back(access.recording.sample(sample));
            return contents;
        },
        [this](RecordingContents contents) { adoptSamples(std::move(contents.samples), m_start); });
    m_reloadAction->setEnabled(true);
}

void MainWindow::closeRecording()
{
    m_replay->setSample(nullptr, nullptr);
    m_heatMap->setSample(nullptr, static_cast<RecordingSource*>(nullptr));
    m_headWall->setSample(nullptr, static_cast<RecordingSource*>(nullptr));
    m_tokenPanel->view()->setSample(nullptr);
    m_tokenPanel->setCaption({});
    m_toolBar->setSample(nullptr);
    m_sampleList->setSamples({});
    m_selection->setSample(-1);
    m_sample.reset();
    m_source.reset();
    m_readingSample = false;
    m_exportAction->setEnabled(false);
    m_reloadAction->setEnabled(false);
    m_centre->setCurrentIndex(0);
    m_activity->clear();
    setWindowTitle(tr("KVLoupe"));
    updateStatus();
}

void MainWindow::reload()
{
    if (!m_source)
        return;
    StartView start;
    if (m_sample)
        start.sample = m_sample->info.id.empty() ? std::to_string(m_sample->sample) : m_sample->info.id;
    if (m_selection->layer() >= 0) {
        start.layer = m_selection->layer();
        start.head = m_selection->head();
    }
    const std::filesystem::path path = m_source->path();
    open(path, std::move(start));
}

std::filesystem::path MainWindow::recordingPath() const
{
    return m_source ? m_source->path() : std::filesystem::path();
}

void MainWindow::adoptSamples(std::vector<SampleInfo> samples, const StartView& start)
{
    m_readingSample = false;
    m_activity->clear();
    if (samples.empty()) {
        report(tr("%1: holds no sample yet; F5 looks again").arg(toText(recordingPath())));
        return;
    }
    int first = 0;
    if (start.sample) {
        const auto byId = std::ranges::find(samples, *start.sample, &SampleInfo::id);
        bool isNumber = false;
        const int number = QString::fromStdString(*start.sample).toInt(&isNumber);
        if (byId != samples.end())
            first = static_cast<int>(byId - samples.begin());
        else if (isNumber && number >= 0 && number < static_cast<int>(samples.size()))
            first = number;
        else
            report(tr("%1: no sample \"%2\"").arg(toText(recordingPath()), QString::fromStdString(*start.sample)));
    }
    m_sampleList->setSamples(std::move(samples));
    m_selection->setSample(first);
}

void MainWindow::requestSample(int sample)
{
    if (!m_source || sample < 0)
        return;
    m_readingSample = true;
    m_source->run<SampleModelPtr>(
        this, RecordingSource::Priority::Immediate,
        [sample](RecordingAccess& access) { return readSampleModel(access.recording, sample); },
        [this, sample](SampleModelPtr model) {
            if (sample == m_selection->sample())
                adoptSample(std::move(model));
        });
}

void MainWindow::adoptSample(SampleModelPtr sample)
{
    m_readingSample = false;
    m_sample = std::move(sample);
    if (m_sample->layers.empty()) {
        report(tr("%1: sample %2 has no attention")
                   .arg(toText(recordingPath()), QString::fromStdString(m_sample->info.id)));
        return;
    }
    const int wantedLayer = m_start.layer.value_or(m_selection->layer());
    const int wantedHead = m_start.head.value_or(m_selection->head());
    const bool layerExists = m_sample->findLayer(wantedLayer) != nullptr;
    const bool headExists = wantedHead >= 0 && wantedHead < m_sample->model.numHeads;
    if ((m_start.layer && !layerExists) || (m_start.head && !headExists))
        report(tr("%1: layer %2 head %3 was not recorded")
                   .arg(toText(recordingPath()))
                   .arg(wantedLayer)
                   .arg(std::max(0, wantedHead)));
    m_start = {};

    m_centre->setCurrentIndex(1);
    m_toolBar->setSample(m_sample);
    m_heatMap->setSample(m_sample, m_source.get());
    m_headWall->setSample(m_sample, m_source.get());
    m_tokenPanel->view()->setSample(m_sample);
    m_selection->setHead(layerExists ? wantedLayer : m_sample->layers.front().layer, headExists ? wantedHead : 0);
    m_replay->setHead(m_selection->layer(), m_selection->head());
    m_replay->setSample(m_source.get(), m_sample);
    m_exportAction->setEnabled(true);
    showReplay();
    updateStatus();
    emit sampleShown(m_sample->sample);
}

bool MainWindow::isReady() const
{
    return m_sample && !m_readingSample && m_heatMap->isLoaded() && m_headWall->isLoaded() && m_replay->isComplete();
}

void MainWindow::showReplay()
{
    if (!m_sample)
        return;
    const int layer = m_selection->layer();
    const int head = m_selection->head();
    std::vector<KeepOverlay> overlays;
    std::optional<std::vector<std::int32_t>> kept;
    QString caption = tr("The whole prompt");
    for (int row = 0; row < m_methods->rowCount(); ++row) {
        const MethodModel::Entry& entry = m_methods->entries()[static_cast<std::size_t>(row)];
        if (!entry.shown)
            continue;
        const auto positions = m_replay->keptPositions(row, layer, head);
        if (!positions) {
            if (row == m_methods->current())
                caption = entry.problem.isEmpty() ? tr("%1: scoring").arg(entry.title) : entry.problem;
            continue;
        }
        const bool isCurrent = row == m_methods->current();
        overlays.push_back({entry.title, entry.color, {positions->begin(), positions->end()},
            isCurrent && m_shadeAction->isChecked()});
        if (isCurrent) {
            kept.emplace(positions->begin(), positions->end());
            caption = tr("%1 keeps %2 of %3 tokens in layer %4, head %5")
                          .arg(entry.title)
                          .arg(positions->size())
                          .arg(m_sample->info.promptTokens)
                          .arg(layer)
                          .arg(head);
        }
    }
    m_heatMap->setKeepOverlay(std::move(overlays));
    m_tokenPanel->view()->setKept(std::move(kept));
    m_tokenPanel->setCaption(caption);
    updateStatus();
}

void MainWindow::updateStatus()
{
    if (!m_sample || m_selection->layer() < 0) {
        m_status->clear();
        return;
    }
    CellStatus status;
    status.layer = m_selection->layer();
    status.head = m_selection->head();
    status.query = m_selection->query();
    status.key = m_selection->key();
    status.value = m_cellValue;
    status.exact = m_cellExact;
    status.pooling = m_heatMap->poolingText();
    if (status.key >= 0 && status.key < m_sample->info.promptTokens) {
        for (int row = 0; row < m_methods->rowCount(); ++row) {
            const MethodModel::Entry& entry = m_methods->entries()[static_cast<std::size_t>(row)];
            if (!entry.shown)
                continue;
            if (const auto positions = m_replay->keptPositions(row, status.layer, status.head))
                status.methods.emplace_back(entry.title, std::ranges::binary_search(*positions, status.key));
        }
    }
    const QString text = statusText(status, m_tokenPanel->view()->text());
    if (text != m_status->text())
        m_status->setText(text);
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
    FigureSpec spec;
    spec.recording = recordingPath();
    if (m_sample)
        spec.sample = std::to_string(m_sample->sample);
    spec.layer = std::max(0, m_selection->layer());
    spec.head = std::max(0, m_selection->head());
    // The method in front comes first: its dropped columns are the ones that are paled.
    for (int row = 0; row < m_methods->rowCount(); ++row) {
        const MethodModel::Entry& entry = m_methods->entries()[static_cast<std::size_t>(row)];
        if (entry.shown && entry.problem.isEmpty())
            spec.methods.insert(
                row == m_methods->current() ? spec.methods.begin() : spec.methods.end(), entry.method.spec);
    }
    spec.budget = m_replay->budget();
    const MapStyle& style = m_heatMap->mapStyle();
    spec.colorMap = style.colorMap;
    spec.scale = style.scale;
    spec.range = style.range;
    spec.pooling = style.pooling;
    spec.showTokens = style.showTokens;
    spec.showSpans = style.showSpans;
    spec.shadeDropped = m_shadeAction->isChecked();
    const MapWindow window = m_heatMap->mapWindow();
    const std::int64_t tokens = m_sample ? m_sample->info.promptTokens : 0;
    const auto range = [tokens](double begin, double end) -> std::optional<TokenRange> {
        const TokenRange shown{std::clamp<std::int64_t>(static_cast<std::int64_t>(std::floor(begin)), 0, tokens),
            std::clamp<std::int64_t>(static_cast<std::int64_t>(std::ceil(end)), 0, tokens)};
        return shown.size() <= 0 || shown == TokenRange{0, tokens} ? std::nullopt : std::optional(shown);
    };
    spec.keys = range(window.keyBegin, window.keyEnd);
    spec.queries = range(window.queryBegin, window.queryEnd);
    return spec;
}

void MainWindow::saveFigure(const FigureSpec& spec, const std::filesystem::path& path)
{
    if (!m_source)
        return;
    m_activity->setText(tr("Writing %1").arg(toText(path.filename())));
    m_source->run<FigureOutcome>(
        this, RecordingSource::Priority::Immediate,
        [spec](RecordingAccess& access) {
            FigureOutcome outcome;
            try {
                outcome.data = std::make_shared<FigureData>(gatherFigure(access.recording, access.tiles, spec));
            } catch (const std::exception& error) {
                outcome.problem = QString::fromUtf8(error.what());
            }
            return outcome;
        },
        [this, path](FigureOutcome outcome) {
            m_activity->clear();
            try {
                if (!outcome.data)
                    throw FigureError(outcome.problem.toStdString());
                AttentionFigure(std::move(*outcome.data)).save(path);
                m_activity->setText(tr("Wrote %1").arg(toText(path)));
                emit figureSaved(toText(path));
            } catch (const std::exception& error) {
                report(QString::fromUtf8(error.what()));
            }
        });
}

void MainWindow::showExportDialog()
{
    if (!m_sample)
        return;
    ExportDialog dialog(m_source.get(), currentFigure(), m_settings, this);
    connect(&dialog, &ExportDialog::saveRequested, this, &MainWindow::saveFigure);
    dialog.exec();
}

void MainWindow::rememberWindow()
{
    m_settings->setWindow(saveGeometry(), saveState(layoutVersion));
}

void MainWindow::closeEvent(QCloseEvent* event)
{
    rememberWindow();
    QMainWindow::closeEvent(event);
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
    open(toPath(files.front()));
    if (files.size() > 1)
        report(tr("%1 files were dropped, %2 was opened; a window shows one recording")
                   .arg(files.size())
                   .arg(files.front()));
}

} // namespace kvloupe
