// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/heatmap/heat_map_view.h"
#include "views/selection/selection.h"
#include "views/session/sample_model.h"

#include <QToolBar>

class QComboBox;
class QSpinBox;

namespace kvloupe {

/// What is shown above the map: layer and head, colour map, scale, pooling.
class MapToolBar final : public QToolBar {
    Q_OBJECT

public:
    /// `view` and `selection` outlive the tool bar.
    MapToolBar(HeatMapView* view, Selection* selection, QWidget* parent = nullptr);

    void setSample(SampleModelPtr sample);
    QAction* tokensAction() const { return m_tokens; }
    QAction* fitAction() const { return m_fit; }

private:
    void showStyle(const MapStyle& style);
    void showHead(int layer, int head);
    QComboBox* combo(const QString& name, const QStringList& entries);

    HeatMapView* m_view;
    Selection* m_selection;
    SampleModelPtr m_sample;
    QComboBox* m_layer;
    QSpinBox* m_head;
    QComboBox* m_colorMap;
    QComboBox* m_scale;
    QComboBox* m_pooling;
    QAction* m_tokens;
    QAction* m_fit;
};

} // namespace kvloupe
