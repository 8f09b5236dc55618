// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/figure/attention_panel.h"

#include "core/recording/recording.h"
#include "views/figure/attention_figure.h"
#include "views/figure/point_painter.h"

#include <QCoreApplication>

#include <nlohmann/json.hpp>

#include <algorithm>

namespace kvloupe {

namespace {

QString translate(const char* text)
{
    return QCoreApplication::translate("AttentionFigure", text);
}

PanelRange colorRangeOf(const FigureSpec& spec)
{
    PanelRange range;
    range.quantity = translate("attention");
    range.isColor = true;
    range.map = spec.colorMap;
    range.scale = spec.scale;
    range.low = spec.range.low;
    range.high = spec.range.high;
    return range;
}

FigureSpec fittedTo(FigureSpec spec, const PanelFrame& frame)
{
    spec.widthMm = frame.width / pointsPerMillimetre;
    spec.heightMm = frame.height / pointsPerMillimetre;
    spec.fontPoints = frame.font;
    spec.dpi = frame.dpi;
    if (!frame.isAlone)
        spec.title = "";
    const PanelRange own = colorRangeOf(spec);
    const auto shared
        = std::ranges::find_if(frame.shared, [&own](const PanelRange& range) { return range.canShareWith(own); });
    if (shared != frame.shared.end()) {
        spec.range = {shared->low, shared->high};
        spec.showColorBar = false;
    }
    return spec;
}

} // namespace

QString AttentionPanel::label() const
{
    return translate("attention, layer %1, head %2 of %3")
        .arg(m_spec.layer)
        .arg(m_spec.head)
        .arg(QString::fromStdString(m_spec.recording.filename().string()));
}

PanelSpec::Json AttentionPanel::toJson() const
{
    Json object = figureSpecToJson(m_spec);
    for (const char* field : {"width", "font", "dpi"})
        object.erase(field);
    if (m_spec.heightMm == 0.0)
        object.erase("height");
    return object;
}

PanelFrame AttentionPanel::frame() const
{
    return {.width = m_spec.widthMm * pointsPerMillimetre,
        .height = m_spec.heightMm * pointsPerMillimetre,
        .font = m_spec.fontPoints,
        .dpi = m_spec.dpi,
        .isAlone = true,
        .shared = {}};
}

std::shared_ptr<const PanelData> AttentionPanel::read(const PanelFrame& frame) const
{
    const Recording recording = Recording::open(m_spec.recording);
    AttentionTiles tiles(recording);
    FigureSpec spec = fittedTo(m_spec, frame);
    spec.title = m_spec.title;
    return std::make_shared<AttentionPanelData>(gatherFigure(recording, tiles, spec));
}

AttentionPanelData::AttentionPanelData(FigureData data)
    : m_data(std::move(data))
{
    const AttentionFigure figure(m_data);
    m_title = figure.layout().title;
    m_caption = figure.caption();
    m_description = figure.description();
    m_table = figure.table();
}

std::vector<PanelRange> AttentionPanelData::ranges() const
{
    return {colorRangeOf(m_data.spec)};
}

PaintedPanel AttentionPanelData::layOut(const PanelFrame& frame) const
{
    FigureData data = m_data;
    data.spec = fittedTo(data.spec, frame);
    const auto figure = std::make_shared<const AttentionFigure>(std::move(data));
    return {figure->layout().page, [figure](PointPainter& painter) { figure->paint(painter); }};
}

} // namespace kvloupe
