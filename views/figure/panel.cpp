// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/figure/panel.h"

#include "views/figure/point_painter.h"

namespace kvloupe {

bool PanelRange::canShareWith(const PanelRange& other) const
{
    if (isColor != other.isColor || quantity != other.quantity)
        return false;
    return !isColor || (map == other.map && scale == other.scale && isDiverging == other.isDiverging);
}

FigurePage pageOf(const PanelData& panel, const PanelFrame& frame)
{
    const PaintedPanel painted = panel.layOut(frame);
    FigurePage page;
    page.size = painted.size;
    page.title = panel.title();
    page.caption = panel.caption();
    page.description = panel.description();
    page.dpi = frame.dpi;
    page.table = panel.table();
    page.paint = [paint = painted.paint, font = frame.font](QPaintDevice& device) {
        PointPainter painter(device, font);
        paint(painter);
    };
    return page;
}

void writePanel(const PanelSpec& spec, const std::vector<std::filesystem::path>& outputs)
{
    for (const std::filesystem::path& output : outputs)
        figureFormat(output);
    const PanelFrame frame = spec.frame();
    const std::shared_ptr<const PanelData> panel = spec.read(frame);
    writePage(pageOf(*panel, frame), outputs);
}

} // namespace kvloupe
