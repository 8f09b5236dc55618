// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/figure/figure_spec.h"
#include "views/session/open_recording.h"
#include "views/session/settings.h"
#include "views/session/view_docks.h"
#include "views/session/view_models.h"

#include <QMainWindow>

#include <filesystem>

class QLabel;
class QMenu;
class QStackedWidget;

namespace kvloupe {

class ComposerDesk;
class ErrorBar;
class ExplanationModel;
class FigureExport;
class HeadWall;
class LostModel;
class HeatMapView;
class JobDesk;
class JobsPanel;
class MapPage;
class MethodHistory;
class MethodModel;
class MethodsPanel;
class OverlapView;
class ReplayModel;
class ResultsView;
class SampleFinder;
class SampleList;
class SelectionHistory;
class Session;
class ShotsView;
class SparsityView;
class StartPage;
class StatusLine;
class TimelineModel;
class TimelineView;
class TokenPanel;
class WhyPanel;

/// The window: one recording, the models that its views share, and a dock for every view around the attention map.
///
/// What cannot be opened or read is said in a bar above the map; the window stays up and usable.
class MainWindow final : public QMainWindow {
    Q_OBJECT

public:
    /// `settings` outlives the window.
    explicit MainWindow(Settings* settings, QWidget* parent = nullptr);
    ~MainWindow() override;

    /// Opens a recording, or adds a file of results to those on show.
    void open(const std::filesystem::path& path, StartView start = {});
    /// Path of the recording in the window, empty without one.
    const std::filesystem::path& recordingPath() const { return m_recording->path(); }

    /// Everything on show is there: sample, tiles, thumbnails, replay.
    bool isReady() const;
    QString lastProblem() const { return m_lastProblem; }

    /// Describes the map, methods and colours on show.
    FigureSpec currentFigure() const;
    /// Reads and writes a figure; `figureSaved` or a message in the error bar follows.
    void saveFigure(const FigureSpec& spec, const std::filesystem::path& path);
    void showExportDialog();

    Selection* selection() const { return m_selection; }
    OpenRecording* recording() const { return m_recording; }
    MethodModel* methods() const { return m_methods; }
    ReplayModel* replay() const { return m_replay; }
    HeatMapView* heatMap() const;
    HeadWall* headWall() const { return m_headWall; }
    TokenPanel* tokenPanel() const { return m_tokenPanel; }
    MethodsPanel* methodsPanel() const { return m_methodsPanel; }
    SampleList* sampleList() const { return m_sampleList; }
    Session* session() const { return m_session; }
    ShotsView* shotsView() const { return m_shotsView; }
    TimelineView* timelineView() const { return m_timelineView; }
    WhyPanel* whyPanel() const { return m_whyPanel; }
    ResultsView* resultsView() const { return m_resultsView; }
    SparsityView* sparsityView() const { return m_sparsityView; }
    ComposerDesk* composerDesk() const { return m_composerDesk; }
    JobDesk* jobDesk() const { return m_jobDesk; }
    ErrorBar* errorBar() const { return m_errorBar; }
    QString statusLine() const;

    /// Brings a view to the front by the name of its dock without "Dock"; false if there is none.
    bool raiseView(const QString& name) { return m_docks.raise(name + QStringLiteral("Dock")); }
    QStringList viewNames() const;
    void restoreDefaultLayout() { m_docks.restoreDefaultLayout(); }
    /// Lists the windows below its own commands, once somebody fills it.
    QMenu* windowMenu() const { return m_windowMenu; }

signals:
    /// The sample in view is there, or was changed.
    void sampleShown(int sample);
    void figureSaved(const QString& path);
    void problem(const QString& message);
    /// Another window is wanted, with a file in it or empty.
    void windowRequested(const QString& file);
    /// The window was closed for good; whoever made it may delete it.
    void closed();

protected:
    void closeEvent(QCloseEvent* event) override;
    void dragEnterEvent(QDragEnterEvent* event) override;
    void dropEvent(QDropEvent* event) override;

private:
    /// Changing this number makes older saved layouts be ignored.
    static constexpr int layoutVersion = 2;

    ViewModels models() const { return {m_selection, m_recording, m_methods, m_replay}; }
    void buildCentre();
    void offerFigures();
    void buildDocks();
    void buildMenus();
    void buildEditMenu();
    void buildViewMenu();
    void buildMethodActions(QMenu* menu);
    void buildWindowMenu();
    void buildHelpMenu();
    void buildThemeActions(QMenu* menu);
    void connectModels();
    void connectViews();
    void connectJobs();
    void rebuildRecentMenu();
    void showRecording();
    void showResults(const std::filesystem::path& path);
    void report(const QString& message);
    void focusNextPanel();
    void showPreferences();
    void showShortcuts();
    void showAbout();
    void chooseAndOpen();
    QString chosenFile(); ///< of a dialog; empty = none
    void chooseFolder();
    void applyColorsToWall();

    Settings* m_settings;
    Selection* m_selection;
    OpenRecording* m_recording;
    MethodModel* m_methods;
    ReplayModel* m_replay;
    ExplanationModel* m_explanations;
    TimelineModel* m_timeline;
    Session* m_session;
    MethodHistory* m_methodHistory;
    SelectionHistory* m_selectionHistory;
    FigureExport* m_figures;
    ComposerDesk* m_composerDesk;
    SampleFinder* m_sampleFinder;
    JobDesk* m_jobDesk;
    QString m_lastProblem;

    StartPage* m_startPage = nullptr;
    MapPage* m_map;
    HeadWall* m_headWall;
    LostModel* m_lost;
    TokenPanel* m_tokenPanel;
    MethodsPanel* m_methodsPanel;
    SampleList* m_sampleList;
    WhyPanel* m_whyPanel = nullptr;
    ShotsView* m_shotsView = nullptr;
    TimelineView* m_timelineView = nullptr;
    ResultsView* m_resultsView = nullptr;
    SparsityView* m_sparsityView = nullptr;
    OverlapView* m_overlapView = nullptr;
    JobsPanel* m_jobsPanel = nullptr;
    ErrorBar* m_errorBar;
    QStackedWidget* m_centre;
    StatusLine* m_status;
    QLabel* m_activity;
    QMenu* m_recentMenu = nullptr;
    QMenu* m_windowMenu = nullptr;
    QAction* m_exportAction = nullptr;
    QAction* m_reloadAction = nullptr;
    ViewDocks m_docks;
};

} // namespace kvloupe
