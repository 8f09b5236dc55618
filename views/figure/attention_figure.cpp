// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/figure/attention_figure.h"

#include "views/figure/color_bar_painter.h"
#include "views/figure/point_painter.h"
#include "views/figure/replay_spec.h"

#include <QCoreApplication>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

namespace kvloupe {

namespace {

constexpr double dotsPerMetre = 1.0 / 0.0254;
constexpr std::int64_t mostVectorCells = 64; ///< by side; more make files that viewers are slow with
constexpr double shareOfPaper = 0.75; ///< in columns that are paled

QString translate(const char* text)
{
    return QCoreApplication::translate("AttentionFigure", text);
}

/// One pixel per column of the map: the method's colour where tokens are kept, in proportion where a pixel holds
/// several.
QImage stripImage(const FigureStrip& strip, const TokenRange& keys, int pixels)
{
    QImage image(pixels, 1, QImage::Format_RGB32);
    const QColor dropped(0xEC, 0xEC, 0xEC);
    for (int x = 0; x < pixels; ++x) {
        const std::int64_t begin = keys.begin + x * keys.size() / pixels;
        const std::int64_t end = std::max(begin + 1, keys.begin + (x + 1) * keys.size() / pixels);
        image.setPixelColor(x, 0, mixColors(dropped, strip.color, strip.keptShare(begin, end)));
    }
    return image;
}

} // namespace

AttentionFigure::AttentionFigure(FigureData data)
    : m_data(std::move(data))
    , m_layout(layOutFigure(m_data))
{
}

QImage AttentionFigure::mapImage() const
{
    const QSize size = figureMapPixels(m_data);
    const ColorTable table(m_data.spec.colorMap, m_data.spec.scale, m_data.spec.range);
    QImage image(size, QImage::Format_RGB32);
    const QColor paper = FigureColors().paper;
    image.fill(paper);
    const bool shaded = m_data.spec.shadeDropped && !m_data.strips.empty();
    std::vector<std::int64_t> bins;
    std::vector<double> paled;
    for (int x = 0; x < size.width(); ++x) {
        const std::int64_t begin = m_data.keys.begin + x * m_data.keys.size() / size.width();
        const std::int64_t end = std::max(begin + 1, m_data.keys.begin + (x + 1) * m_data.keys.size() / size.width());
        bins.push_back((begin >> m_data.level) - m_data.firstColumn);
        paled.push_back(shaded ? shareOfPaper * (1.0 - m_data.strips.front().keptShare(begin, end)) : 0.0);
    }
    for (int y = 0; y < size.height(); ++y) {
        const std::int64_t query = m_data.queries.begin + y * m_data.queries.size() / size.height();
        const std::int64_t row = (query >> m_data.level) - m_data.firstRow;
        auto* pixels = reinterpret_cast<QRgb*>(image.scanLine(y));
        for (int x = 0; x < size.width(); ++x) {
            const auto column = static_cast<std::size_t>(x);
            if (!m_data.isCausal(row, bins[column]))
                continue;
            const QColor color(table.color(m_data.cell(row, bins[column])));
            pixels[x] = paled[column] > 0.0 ? mixColors(color, paper, paled[column]).rgb() : color.rgb();
        }
    }
    image.setDotsPerMeterX(static_cast<int>(std::lround(m_data.spec.dpi * dotsPerMetre)));
    image.setDotsPerMeterY(image.dotsPerMeterX());
    return image;
}

bool AttentionFigure::hasFewCells() const
{
    return m_data.level == 0 && m_data.rows <= mostVectorCells && m_data.columns <= mostVectorCells;
}

void AttentionFigure::paintMap(PointPainter& painter) const
{
    const QRectF& map = m_layout.map;
    if (!hasFewCells()) {
        painter.image(map, mapImage());
        return;
    }
    const ColorTable table(m_data.spec.colorMap, m_data.spec.scale, m_data.spec.range);
    const QColor paper = FigureColors().paper;
    const bool shaded = m_data.spec.shadeDropped && !m_data.strips.empty();
    const double width = map.width() / static_cast<double>(m_data.columns);
    const double height = map.height() / static_cast<double>(m_data.rows);
    painter.fill(map, paper);
    for (std::int64_t row = 0; row < m_data.rows; ++row) {
        for (std::int64_t column = 0; column < m_data.columns && m_data.isCausal(row, column); ++column) {
            const std::int64_t key = m_data.firstColumn + column;
            const double paled = shaded ? shareOfPaper * (1.0 - m_data.strips.front().keptShare(key, key + 1)) : 0.0;
            // A hair more than the cell: viewers that smooth edges leave no light seams between neighbours.
            const QRectF cell(map.left() + static_cast<double>(column) * width,
                map.top() + static_cast<double>(row) * height, width + 0.2, height + 0.2);
            painter.fillSharp(
                cell.intersected(map), mixColors(QColor(table.color(m_data.cell(row, column))), paper, paled));
        }
    }
}

void AttentionFigure::paintStrip(PointPainter& painter, std::size_t index) const
{
    const FigureStrip& strip = m_data.strips[index];
    const QRectF& place = m_layout.strips[index];
    if (!hasFewCells()) {
        painter.image(place, stripImage(strip, m_data.keys, figureMapPixels(m_data).width()));
        return;
    }
    const QImage cells = stripImage(strip, m_data.keys, static_cast<int>(m_data.columns));
    const double width = place.width() / cells.width();
    for (int column = 0; column < cells.width(); ++column)
        painter.fillSharp(
            QRectF(place.left() + column * width, place.top(), width + 0.2, place.height()).intersected(place),
            cells.pixelColor(column, 0));
}

void AttentionFigure::paint(PointPainter& painter) const
{
    const double font = m_data.spec.fontPoints;
    const double small = 0.85;
    const double tick = 0.35 * font;
    const FigureLayout& at = m_layout;
    const QRectF& map = at.map;
    const auto& [ink, paleInk, paper] = painter.colors();
    painter.fill(QRectF(QPointF(), at.page), paper);

    if (!at.title.isEmpty())
        painter.text(map.left(), at.titleBaseline, at.title, 0.0);
    for (std::size_t index = 0; index < at.strips.size(); ++index) {
        const FigureStrip& strip = m_data.strips[index];
        const QRectF& place = at.strips[index];
        paintStrip(painter, index);
        painter.text(place.left() - 0.5 * font, place.bottom() - 0.15 * font, strip.name, 1.0, 1.0,
            mixColors(strip.color, ink, 0.35));
        painter.text(
            place.right() + 0.5 * font, place.bottom() - 0.15 * font, keptText(strip, m_data), 0.0, small, paleInk);
    }

    const auto sections = [&](const QRectF& band, const TokenRange& range, bool upwards) {
        for (const FigureSection& section : at.sections) {
            const std::int64_t begin = std::max(section.begin, range.begin);
            const std::int64_t end = std::min(section.end, range.end);
            if (begin >= end || band.isEmpty())
                continue;
            const double length = upwards ? band.height() : band.width();
            const double from = static_cast<double>(begin - range.begin) / static_cast<double>(range.size()) * length;
            const double to = static_cast<double>(end - range.begin) / static_cast<double>(range.size()) * length;
            const QColor shade = section.shot < 0 ? QColor(0xE4, 0xE4, 0xE4)
                : section.shot % 2 == 0           ? QColor(0xBF, 0xCC, 0xDC)
                                                  : QColor(0xDD, 0xE5, 0xEF);
            const QRectF place = upwards ? QRectF(band.left(), band.top() + from, band.width(), to - from)
                                         : QRectF(band.left() + from, band.top(), to - from, band.height());
            painter.fill(place, shade);
            if (figureTextWidth(section.name, 0.75 * font) > to - from - 0.2 * font)
                continue;
            if (upwards)
                painter.textUpwards(place.right() - 0.2 * font, place.center().y(), section.name, 0.5, 0.75);
            else
                painter.text(place.center().x(), place.bottom() - 0.2 * font, section.name, 0.5, 0.75);
        }
    };
    sections(at.keySections, m_data.keys, false);
    sections(at.querySections, m_data.queries, true);

    paintMap(painter);
    painter.frame(map, ink, 0.5);
    for (const FigureTick& mark : at.keyTicks) {
        const double x = map.left() + mark.place * map.width();
        if (at.keyTokens) {
            painter.textUpwards(x + 0.3 * font, map.bottom() + 0.5 * font, mark.label, 1.0, small);
        } else {
            painter.line(x, map.bottom(), x, map.bottom() + tick, ink, 0.5);
            painter.text(x, map.bottom() + 0.5 * font + small * font, mark.label, 0.5, small);
        }
    }
    const double beside = at.querySections.isEmpty() ? map.left() : at.querySections.left();
    for (const FigureTick& mark : at.queryTicks) {
        const double y = map.top() + mark.place * map.height();
        if (!at.queryTokens)
            painter.line(beside - tick, y, beside, y, ink, 0.5);
        painter.text(beside - 0.5 * font, y + 0.3 * font, mark.label, 1.0, small);
    }
    painter.text(map.center().x(), at.keyLabelBaseline, translate("key (token)"), 0.5);
    painter.textUpwards(at.queryLabelCentre + 0.35 * font, map.center().y(), translate("query (token)"), 0.5);

    const QString pooled = m_data.poolingText();
    if (m_data.spec.showColorBar) {
        const auto entries = colorMapEntries(m_data.spec.colorMap);
        paintColorBar(painter, at.colorBar,
            {{entries.begin(), entries.end()}, at.colorTicks,
                pooled.isEmpty() ? translate("attention") : translate("attention, %1").arg(pooled)},
            font);
    } else if (!pooled.isEmpty()) {
        painter.text(map.right() - 0.4 * font, map.top() + 1.1 * font, pooled, 1.0, small, paleInk);
    }
}

QString AttentionFigure::description() const
{
    QStringList methods;
    for (const FigureStrip& strip : m_data.strips)
        methods << QString::fromStdString(strip.spec);
    return QStringLiteral(
        "recording %1, model %2 sha256 %3, prompt sha256 %4, sample %5, layer %6, head %7, budget %8, methods [%9]")
        .arg(QString::fromStdString(m_data.recordingUuid), QString::fromStdString(m_data.sample->model.name),
            QString::fromStdString(m_data.sample->model.fileSha256),
            QString::fromStdString(m_data.sample->info.promptSha256))
        .arg(m_data.sample->sample)
        .arg(m_data.spec.layer)
        .arg(m_data.spec.head)
        .arg(QString::fromStdString(m_data.spec.budget.text()), methods.join(QStringLiteral("; ")));
}

QString AttentionFigure::caption() const
{
    const SampleModel& sample = *m_data.sample;
    QString text = translate("Attention of layer %1, head %2 of %3 on sample %4 (%5 tokens)")
                       .arg(m_data.spec.layer)
                       .arg(m_data.spec.head)
                       .arg(QString::fromStdString(sample.model.name),
                           QString::fromStdString(sample.info.id.empty() ? m_data.spec.sample : sample.info.id))
                       .arg(sample.info.promptTokens);
    if (const QString pooled = m_data.poolingText(); !pooled.isEmpty())
        text += translate(", %1 cells").arg(pooled);
    QStringList methods;
    for (const FigureStrip& strip : m_data.strips)
        methods << translate("%1 (%2)").arg(strip.name, keptText(strip, m_data));
    if (!methods.isEmpty()) {
        text += translate("; strips: what is kept by %1 at %2")
                    .arg(methods.join(QStringLiteral(", ")), budgetText(m_data.spec.budget));
        if (m_data.spec.shadeDropped)
            text += translate("; columns that %1 drops are paled").arg(m_data.strips.front().name);
    }
    return text + QLatin1Char('.');
}

FigureTable AttentionFigure::table() const
{
    FigureTable table;
    table.columns = {"query_begin", "query_end", "key_begin", "key_end", "attention"};
    for (const FigureStrip& strip : m_data.strips)
        table.columns.push_back(csvQuoted("kept " + strip.spec));
    table.rows = [data = std::make_shared<const FigureData>(m_data)](const FigureTable::Row& give) {
        const auto bin = [&](std::int64_t number, const TokenRange& range) {
            return TokenRange{
                std::max(number << data->level, range.begin), std::min((number + 1) << data->level, range.end)};
        };
        std::vector<std::string> fields(5 + data->strips.size());
        for (std::int64_t row = 0; row < data->rows; ++row) {
            const TokenRange queries = bin(data->firstRow + row, data->queries);
            fields[0] = fmt::to_string(queries.begin);
            fields[1] = fmt::to_string(queries.end);
            for (std::int64_t column = 0; column < data->columns && data->isCausal(row, column); ++column) {
                const TokenRange keys = bin(data->firstColumn + column, data->keys);
                fields[2] = fmt::to_string(keys.begin);
                fields[3] = fmt::to_string(keys.end);
                fields[4] = fmt::format("{}", halfToFloat(data->cell(row, column)));
                for (std::size_t strip = 0; strip < data->strips.size(); ++strip)
                    fields[5 + strip] = fmt::format("{}", data->strips[strip].keptShare(keys.begin, keys.end));
                give(fields);
            }
        }
    };
    return table;
}

FigurePage AttentionFigure::page() const
{
    FigurePage page;
    page.size = m_layout.page;
    page.title = m_layout.title;
    page.caption = caption();
    page.description = description();
    page.dpi = m_data.spec.dpi;
    page.table = table();
    page.paint = [figure = std::make_shared<const AttentionFigure>(*this)](QPaintDevice& device) {
        PointPainter painter(device, figure->data().spec.fontPoints);
        figure->paint(painter);
    };
    return page;
}

QByteArray AttentionFigure::render(FigureFormat format) const
{
    return renderPage(page(), format);
}

void AttentionFigure::save(const std::filesystem::path& path) const
{
    writePage(page(), {path});
}

} // namespace kvloupe
