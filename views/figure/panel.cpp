// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/figure/panel.h"

#include "views/figure/point_painter.h"
#include "views/figure/text_lines.h"

#include <algorithm>
#include <utility>

namespace kvloupe {

bool PanelRange::canShareWith(const PanelRange& other) const
{
    if (isColor != other.isColor || quantity != other.quantity)
        return false;
    return !isColor || (map == other.map && scale == other.scale && isDiverging == other.isDiverging);
}

PanelParts::PanelParts(Parts parts, const std::optional<std::string>& ownTitle)
    : m_parts(std::move(parts))
{
    if (ownTitle)
        m_parts.title = QString::fromStdString(*ownTitle);
}

PaintedPanel PanelParts::layOut(const PanelFrame& frame) const
{
    const double font = frame.font;
    if (!frame.isAlone || m_parts.title.isEmpty())
        return m_parts.layOut(frame);
    const QStringList lines = wrappedText(m_parts.title, frame.width - font, font);
    const double head = 0.5 * font + 1.3 * font * static_cast<double>(lines.size());
    PanelFrame rest = frame;
    rest.height = frame.height > 0.0 ? std::max(1.0, frame.height - head) : 0.0;
    const PaintedPanel body = m_parts.layOut(rest);
    const QSizeF size(body.size.width(), body.size.height() + head);
    return {size, [lines, body, head, font, size](PointPainter& painter) {
                painter.fill(QRectF(QPointF(), size), painter.colors().paper);
                for (qsizetype line = 0; line < lines.size(); ++line)
                    painter.text(0.5 * font, 1.3 * font + 1.3 * font * static_cast<double>(line), lines[line], 0.0);
                painter.within({0.0, head}, [&] { body.paint(painter); });
            }};
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
