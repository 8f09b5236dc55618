// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/recording/recording_types.h"
#include "views/figure/figure_spec.h"
#include "views/heatmap/heat_map_view.h"
#include "views/session/recording_source.h"
#include "views/session/sample_model.h"
#include "views/session/selection.h"
#include "views/session/settings.h"

#include <QMainWindow>

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

class QLabel;
class QMenu;
class QStackedWidget;
class QTimer;

namespace kvloupe {

class ErrorBar;
class HeadWall;
class MapToolBar;
class MethodModel;
class MethodsPanel;
class ReplayModel;
class SampleList;
class TokenPanel;

/// Where a recording is opened: nothing = its first sample, layer and head.
struct StartView {
    std::optional<std::string> sample; ///< number or id
    std::optional<int> layer;
    std::optional<int> head;
};

/// The window: one recording, its samples, heads, map, text and methods.
///
/// What cannot be opened or read is said in a bar above the map; the window stays up and usable.
class MainWindow final : public QMainWindow {
    Q_OBJECT

public:
    /// `settings` outlives the window.
    explicit MainWindow(Settings* settings, QWidget* parent = nullptr);
    ~MainWindow() override;

    void open(const std::filesystem::path& path, StartView start = {});
    /// Reads the file again, as it is now, and stays at the sample, head and cell in view.
    void reload();
    /// Path of the recording in the window, empty without one.
    std::filesystem::path recordingPath() const;

    /// Everything on show is there: sample, tiles, thumbnails, replay.
    bool isReady() const;
    QString lastProblem() const { return m_lastProblem; }

    /// Describes the map, methods and colours on show.
    FigureSpec currentFigure() const;
    /// Reads and writes a figure; `figureSaved` or a message in the error bar follows.
    void saveFigure(const FigureSpec& spec, const std::filesystem::path& path);
    void showExportDialog();

    Selection* selection() const { return m_selection; }
    MethodModel* methods() const { return m_methods; }
    ReplayModel* replay() const { return m_replay; }
    HeatMapView* heatMap() const { return m_heatMap; }
    HeadWall* headWall() const { return m_headWall; }
    TokenPanel* tokenPanel() const { return m_tokenPanel; }
    MethodsPanel* methodsPanel() const { return m_methodsPanel; }
    SampleList* sampleList() const { return m_sampleList; }
    ErrorBar* errorBar() const { return m_errorBar; }
    QString statusLine() const;

    void restoreDefaultLayout();

signals:
    /// The sample in view is there, or was changed.
    void sampleShown(int sample);
    void figureSaved(const QString& path);
    void problem(const QString& message);

protected:
    void closeEvent(QCloseEvent* event) override;
    void dragEnterEvent(QDragEnterEvent* event) override;
    void dropEvent(QDropEvent* event) override;

private:
    /// Changing this number makes older saved layouts be ignored.
    static constexpr int layoutVersion = 1;

    void buildDocks();
    void buildMenus();
    void buildMethodActions(QMenu* menu);
    void connectViews();
    void rebuildRecentMenu();
    void closeRecording();
    void adoptSamples(std::vector<SampleInfo> samples, const StartView& start);
    void requestSample(int sample);
    void adoptSample(SampleModelPtr sample);
    void showReplay();
    void updateStatus();
    void report(const QString& message);
    void rememberWindow();
    void focusNextPanel();
    void showShortcuts();
    void showAbout();
    void chooseFile();
    void chooseFolder();
    void applyColorsToWall();

    Settings* m_settings;
    Selection* m_selection;
    MethodModel* m_methods;
    ReplayModel* m_replay;
    std::unique_ptr<RecordingSource> m_source;
    SampleModelPtr m_sample;
    StartView m_start;
    QString m_lastProblem;
    bool m_readingSample = false;
    std::optional<float> m_cellValue;
    bool m_cellExact = false;

    HeatMapView* m_heatMap;
    MapToolBar* m_toolBar;
    HeadWall* m_headWall;
    TokenPanel* m_tokenPanel;
    MethodsPanel* m_methodsPanel;
    SampleList* m_sampleList;
    ErrorBar* m_errorBar;
    QStackedWidget* m_centre;
    QLabel* m_status;
    QLabel* m_activity;
    QMenu* m_recentMenu = nullptr;
    QAction* m_exportAction = nullptr;
    QAction* m_reloadAction = nullptr;
    QAction* m_shadeAction = nullptr;
    std::vector<QDockWidget*> m_docks;
};

} // namespace kvloupe
