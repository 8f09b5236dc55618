// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/chart/chart_panel.h"

#include <algorithm>
#include <utility>

namespace kvloupe {

namespace {

PanelRange rangeOf(const ChartPanel& panel)
{
    PanelRange range;
    if (!panel.matrix) {
        range.quantity = panel.y.label;
        range.low = panel.y.low;
        range.high = panel.y.high;
        return range;
    }
    range.quantity = panel.matrix->valueName;
    range.isColor = true;
    range.map = panel.matrix->map;
    range.isDiverging = panel.matrix->diverging;
    range.low = panel.matrix->low;
    range.high = panel.matrix->high;
    return range;
}

void share(ChartPanel& panel, const std::vector<PanelRange>& shared)
{
    const PanelRange own = rangeOf(panel);
    const auto found
        = std::ranges::find_if(shared, [&own](const PanelRange& range) { return range.canShareWith(own); });
    if (found == shared.end())
        return;
    double& low = panel.matrix ? panel.matrix->low : panel.y.low;
    double& high = panel.matrix ? panel.matrix->high : panel.y.high;
    low = found->low;
    high = found->high;
    if (panel.matrix)
        panel.matrix->showsColorBar = false;
}

} // namespace

ChartPanelData::ChartPanelData(Chart chart, const ChartPage& page, QString description, QString caption)
    : m_chart(std::move(chart))
    , m_columns(page.columns)
    , m_description(std::move(description))
    , m_caption(std::move(caption))
{
}

QString ChartPanelData::caption() const
{
    if (!m_caption.isEmpty())
        return m_caption;
    QStringList sentences;
    if (!m_chart.title.isEmpty())
        sentences << m_chart.title;
    sentences << m_chart.notes;
    for (QString& sentence : sentences)
        if (!sentence.endsWith(QLatin1Char('.')))
            sentence += QLatin1Char('.');
    return sentences.join(QLatin1Char(' '));
}

std::vector<PanelRange> ChartPanelData::ranges() const
{
    std::vector<PanelRange> ranges;
    for (const ChartPanel& panel : m_chart.panels) {
        const PanelRange own = rangeOf(panel);
        const auto found
            = std::ranges::find_if(ranges, [&own](const PanelRange& range) { return range.canShareWith(own); });
        if (found == ranges.end()) {
            ranges.push_back(own);
            continue;
        }
        found->low = std::min(found->low, own.low);
        found->high = std::max(found->high, own.high);
    }
    return ranges;
}

PaintedPanel ChartPanelData::layOut(const PanelFrame& frame) const
{
    auto chart = std::make_shared<Chart>(m_chart);
    if (!frame.isAlone)
        chart->title.clear();
    for (ChartPanel& panel : chart->panels)
        share(panel, frame.shared);
    auto layout
        = std::make_shared<const ChartLayout>(layOutChart(*chart, {frame.width, frame.height, frame.font, m_columns}));
    return {layout->page, [chart, layout](PointPainter& painter) { paintChart(painter, *chart, *layout); }};
}

PanelFrame frameOf(const ChartPage& page)
{
    return {.width = page.widthMm * pointsPerMillimetre,
        .height = page.heightMm * pointsPerMillimetre,
        .font = page.fontPoints,
        .dpi = page.dpi,
        .isAlone = true,
        .shared = {}};
}

} // namespace kvloupe
