// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/heads/heads_figure.h"

#include "core/recording/half.h"
#include "core/recording/recording.h"
#include "views/figure/color_bar_painter.h"
#include "views/figure/figure_spec.h"
#include "views/figure/point_painter.h"
#include "views/heatmap/map_image.h"

#include <QCoreApplication>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace kvloupe {

namespace {

constexpr double smallText = 0.85;

QString translate(const char* text)
{
    return QCoreApplication::translate("HeadsFigure", text);
}

struct HeadsContents {
    std::vector<int> layers;
    int heads = 0;
    std::int64_t edge = 0; ///< of a thumbnail, in bins
    std::vector<std::vector<Half>> overviews; ///< by layer, [heads, edge, edge]

    std::span<const Half> map(std::size_t layer, int head) const
    {
        const auto cells = static_cast<std::size_t>(edge * edge);
        return std::span(overviews[layer]).subspan(cells * static_cast<std::size_t>(head), cells);
    }
};

FigureTable tableOf(const std::shared_ptr<const HeadsContents>& contents)
{
    FigureTable table;
    table.columns = {"layer", "head", "row_bin", "column_bin", "largest_attention"};
    table.rows = [contents](const FigureTable::Row& give) {
        for (std::size_t layer = 0; layer < contents->layers.size(); ++layer)
            for (int head = 0; head < contents->heads; ++head) {
                const std::span<const Half> map = contents->map(layer, head);
                for (std::int64_t row = 0; row < contents->edge; ++row)
                    for (std::int64_t column = 0; column <= row; ++column)
                        give(std::array<std::string, 5>{fmt::to_string(contents->layers[layer]), fmt::to_string(head),
                            fmt::to_string(row), fmt::to_string(column),
                            fmt::format(
                                "{}", halfToFloat(map[static_cast<std::size_t>(row * contents->edge + column)]))});
            }
    };
    return table;
}

PaintedPanel layOutWall(const std::shared_ptr<const HeadsContents>& contents, const PanelFrame& frame)
{
    const double font = frame.font;
    const ColorTable colors(ColorMap::Viridis, ColorScale::Logarithmic, {});
    const double barHeight = 16.0 * font;
    const std::vector<FigureTick> ticks = valueTicks(colors, barHeight, font);
    const double left = 2.0 * font + figureTextWidth(QStringLiteral("00"), smallText * font);
    const double right = 1.8 * font + colorBarMargin(ticks, font);
    const double step = (frame.width - left - right) / contents->heads;
    if (step < 3.0)
        throw FigureError(fmt::format("width: {:.0f} mm leave no room for {} heads, expected a larger width",
            frame.width / pointsPerMillimetre, contents->heads));
    const double top = 2.8 * font;
    const double wall = step * static_cast<double>(contents->layers.size());
    const QSizeF size(frame.width, std::max(top + wall, 0.5 * font + barHeight) + 0.5 * font);
    const double gap = std::min(1.0, 0.08 * step);
    const int pixels = std::clamp(
        static_cast<int>(std::lround((step - gap) / 72.0 * frame.dpi)), 1, static_cast<int>(contents->edge));
    std::vector<QImage> images;
    for (std::size_t layer = 0; layer < contents->layers.size(); ++layer) {
        for (int head = 0; head < contents->heads; ++head) {
            QImage image(pixels, pixels, QImage::Format_RGB32);
            image.fill(Qt::white);
            QPainter(&image).drawImage(
                0, 0, thumbnail(contents->map(layer, head), contents->edge, pixels, Pooling::Max, colors));
            images.push_back(std::move(image));
        }
    }
    return {size,
        [contents, size, images = std::move(images), ticks, font, left, top, step, gap, wall, barHeight](
            PointPainter& painter) {
            const QColor& ink = painter.colors().ink;
            painter.fill(QRectF(QPointF(), size), painter.colors().paper);
            const int headStep = step < 1.6 * font ? 5 : 1;
            for (int head = 0; head < contents->heads; head += headStep)
                painter.text(left + (head + 0.5) * step, top - 0.4 * font, QString::number(head), 0.5, smallText);
            painter.text(left + 0.5 * step * contents->heads, 1.2 * font, translate("head"), 0.5);
            const std::size_t layerStep = step < 1.1 * font ? 5 : 1;
            for (std::size_t layer = 0; layer < contents->layers.size(); ++layer) {
                const double y = top + step * static_cast<double>(layer);
                if (layer % layerStep == 0)
                    painter.text(left - 0.4 * font, y + 0.5 * step + 0.3 * font,
                        QString::number(contents->layers[layer]), 1.0, smallText);
                for (int head = 0; head < contents->heads; ++head) {
                    const QRectF place(left + head * step, y, step - gap, step - gap);
                    painter.image(place,
                        images[layer * static_cast<std::size_t>(contents->heads) + static_cast<std::size_t>(head)]);
                    painter.frame(place, mixColors(ink, Qt::white, 0.6), 0.25);
                }
            }
            painter.textUpwards(font, top + 0.5 * wall, translate("layer"), 0.5);
            const auto entries = colorMapEntries(ColorMap::Viridis);
            paintColorBar(painter, QRectF(left + step * contents->heads + font, 0.5 * font, 0.8 * font, barHeight),
                {{entries.begin(), entries.end()}, ticks, translate("attention, max")}, font);
        }};
}

} // namespace

std::shared_ptr<const PanelData> readHeads(const Recording& recording, const ReplaySpec& spec)
{
    if (!spec.methods.empty() || spec.head)
        throw FigureError(
            "figure heads: found a method or a head, expected neither: it shows the attention of all heads");
    const ReplayedSample replayed = replaySample(recording, spec);
    auto contents = std::make_shared<HeadsContents>();
    contents->heads = replayed.sample->model.numHeads;
    contents->edge = overviewEdge(replayed.sample->info.promptTokens);
    for (const LayerInfo& layer : replayed.layers) {
        contents->layers.push_back(layer.layer);
        contents->overviews.push_back(recording.readOverview(replayed.sample->sample, layer.layer, Pooling::Max));
        if (contents->overviews.back().size()
            != static_cast<std::size_t>(contents->edge * contents->edge * contents->heads))
            throw FigureError(fmt::format("{}: the overview of layer {} has {} values, expected {} x {} x {}",
                recording.path().string(), layer.layer, contents->overviews.back().size(), contents->heads,
                contents->edge, contents->edge));
    }
    PanelParts::Parts parts;
    parts.title = replayed.scope();
    parts.description = replayed.description();
    parts.caption = translate("Attention of the heads of %1 on sample %2 (%3 tokens), maxima of blocks.")
                        .arg(replayed.scope(), QString::fromStdString(replayed.sample->info.id))
                        .arg(replayed.sample->info.promptTokens);
    parts.table = tableOf(contents);
    parts.layOut = [contents](const PanelFrame& frame) { return layOutWall(contents, frame); };
    return std::make_shared<PanelParts>(std::move(parts), spec.title);
}

} // namespace kvloupe
