// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/chart/chart_painter.h"
#include "views/figure/panel.h"

namespace kvloupe {

/// A chart as a panel: its small multiples stay together.
class ChartPanelData final : public PanelData {
public:
    /// Of `page` the number of columns and the height count. `caption`: nothing = the chart's title.
    ChartPanelData(Chart chart, const ChartPage& page, QString description, QString caption = {});

    const Chart& chart() const { return m_chart; }
    QString title() const override { return m_chart.title; }
    QString caption() const override;
    QString description() const override { return m_description; }
    std::vector<PanelRange> ranges() const override;
    bool canStretch() const override { return true; }
    PaintedPanel layOut(const PanelFrame& frame) const override;
    FigureTable table() const override { return chartTable(m_chart); }

private:
    Chart m_chart;
    int m_columns;
    QString m_description;
    QString m_caption;
};

/// The room of a chart that is a file of its own.
PanelFrame frameOf(const ChartPage& page);

} // namespace kvloupe
