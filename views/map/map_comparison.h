// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/heatmap/compared_tiles.h"
#include "views/session/view_models.h"

#include <QWidget>

#include <array>
#include <optional>

class QAction;
class QLabel;
class QToolButton;

namespace kvloupe {

class HeatMapView;

/// The bar above the map while it is compared with another head, or with a second recording of the same prompt: one
/// sees A (the head in view), B or A - B. Hidden while nothing is compared.
class MapComparison final : public QWidget {
    Q_OBJECT

public:
    enum class Side { A, B, Difference };

    /// `view` outlives the bar.
    MapComparison(HeatMapView* view, const ViewModels& models, QWidget* parent = nullptr);

    /// Begins to compare; `problem` says why not.
    void start(const ComparedMap& other);
    void stop();
    bool isActive() const { return m_maps.has_value(); }
    Side side() const { return m_side; }
    void showSide(Side side);
    /// After the view got another sample: the comparison goes on there if it can.
    void restart();

    /// For menus: compare with the head in view, with a recording, flip, stop.
    const std::array<QAction*, 4>& menuActions() const { return m_actions; }

signals:
    /// One line: the two cannot be compared.
    void problem(const QString& message);

private:
    void flip();
    void showNames();
    void chooseRecording();

    HeatMapView* m_view;
    ViewModels m_models;
    std::optional<ComparedMaps> m_maps;
    Side m_side = Side::Difference;
    int m_started = 0; ///< number of the newest comparison: checks of older ones are stale
    std::array<QToolButton*, 3> m_sides{};
    QLabel* m_names;
    std::array<QAction*, 4> m_actions{};
};

} // namespace kvloupe
