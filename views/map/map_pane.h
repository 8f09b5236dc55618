// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/heatmap/heat_map_view.h"
#include "views/session/view_models.h"

#include <QWidget>

#include <filesystem>
#include <memory>

class QComboBox;
class QLabel;

namespace kvloupe {

class RecordingSource;
class TimelineModel;

/// A map beside the one in view that stays where it was put: a head, a method's strip and shading, a sample of this
/// recording or the first of another one.
///
/// It has a Selection of its own, whose cell, step and budget are kept equal to those of the window; its head is not.
class MapPane final : public QWidget {
    Q_OBJECT

public:
    /// `cache` is shared with the other maps of the window.
    MapPane(const ViewModels& models, const TimelineModel* timeline, std::shared_ptr<TileCache> cache,
        QWidget* parent = nullptr);
    ~MapPane() override;

    HeatMapView* heatMap() const { return m_heatMap; }
    Selection* selection() { return &m_selection; }
    /// The sample in view of the window's recording.
    void showWindowSample();
    /// Another sample of the window's recording.
    void showSample(int sample);
    /// The first sample of another recording.
    void showRecording(const std::filesystem::path& path);
    /// Method whose strip and shading it has: a row of the method model, -1 = that in front.
    void setMethod(int row);
    QString title() const;

signals:
    /// The window shall look at this head, and this map at the window's.
    void swapRequested();
    void failed(const QString& message);

private:
    void read(RecordingSource* source, int sample);
    void adopt(SampleModelPtr sample, RecordingSource* source);
    void showKept();
    void showMethods();
    void showTitle();
    void chooseRecording();

    ViewModels m_models; ///< with the pane's own selection
    Selection* m_windowSelection;
    const TimelineModel* m_timeline;
    Selection m_selection;
    std::unique_ptr<RecordingSource> m_ownSource; ///< of another recording
    SampleModelPtr m_sample;
    int m_reading = 0; ///< number of the newest sample asked for
    int m_method = -1;
    HeatMapView* m_heatMap;
    QLabel* m_title;
    QComboBox* m_methods;
};

} // namespace kvloupe
