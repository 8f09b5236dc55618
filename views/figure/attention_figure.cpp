// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/figure/attention_figure.h"

#include <QBuffer>
#include <QCoreApplication>
#include <QFontMetricsF>
#include <QPainter>
#include <QPdfWriter>
#include <QSaveFile>
#include <QSvgGenerator>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace kvloupe {

namespace {

constexpr double dotsPerMetre = 1.0 / 0.0254;
constexpr int svgDensity = 720; ///< units per inch: a tenth of a point
constexpr int pdfDensity = 1200;

constexpr QColor ink(0x20, 0x20, 0x20);
constexpr QColor paleInk(0x70, 0x70, 0x70);
constexpr QColor paper(0xFF, 0xFF, 0xFF);

QString translate(const char* text)
{
    return QCoreApplication::translate("AttentionFigure", text);
}

/// A painter whose coordinates are points, on devices of any density.
class PointPainter {
public:
    PointPainter(QPaintDevice& device, double fontPoints)
        : m_painter(&device)
        , m_unit(device.logicalDpiX() / 72.0)
        , m_fontPoints(fontPoints)
    {
        m_painter.setRenderHints(
            QPainter::Antialiasing | QPainter::TextAntialiasing | QPainter::LosslessImageRendering);
        m_painter.setRenderHint(QPainter::SmoothPixmapTransform, false);
    }

    void fill(const QRectF& rect, const QColor& color) { m_painter.fillRect(scaled(rect), color); }
    void frame(const QRectF& rect, const QColor& color, double width)
    {
        pen(color, width);
        m_painter.setBrush(Qt::NoBrush);
        m_painter.drawRect(scaled(rect));
    }
    void line(double x1, double y1, double x2, double y2, const QColor& color, double width)
    {
        pen(color, width);
        m_painter.drawLine(QPointF(x1 * m_unit, y1 * m_unit), QPointF(x2 * m_unit, y2 * m_unit));
    }
    void image(const QRectF& rect, const QImage& picture) { m_painter.drawImage(scaled(rect), picture); }

    /// `alignment` 0 = left, 0.5 = centred, 1 = right of (x, baseline); `size` relative to the font of the figure.
    void text(
        double x, double baseline, const QString& words, double alignment, double size = 1.0, const QColor& color = ink)
    {
        const double points = m_fontPoints * size;
        m_painter.setFont(figureFont(points));
        m_painter.setPen(color);
        m_painter.drawText(
            QPointF((x - alignment * figureTextWidth(words, points)) * m_unit, baseline * m_unit), words);
    }
    /// The same, reading upwards, (x, y) on its baseline.
    void textUpwards(
        double x, double y, const QString& words, double alignment, double size = 1.0, const QColor& color = ink)
    {
        m_painter.save();
        m_painter.translate(x * m_unit, y * m_unit);
        m_painter.rotate(-90.0);
        text(0.0, 0.0, words, alignment, size, color);
        m_painter.restore();
    }

private:
    QRectF scaled(const QRectF& rect) const
    {
        return {rect.x() * m_unit, rect.y() * m_unit, rect.width() * m_unit, rect.height() * m_unit};
    }
    void pen(const QColor& color, double width)
    {
        m_painter.setPen(QPen(color, width * m_unit, Qt::SolidLine, Qt::FlatCap, Qt::MiterJoin));
    }

    QPainter m_painter;
    double m_unit;
    double m_fontPoints;
};

QColor mix(const QColor& from, const QColor& to, double share)
{
    const auto channel = [share](int a, int b) { return static_cast<int>(std::lround(a + (b - a) * share)); };
    return {channel(from.red(), to.red()), channel(from.green(), to.green()), channel(from.blue(), to.blue())};
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
        image.setPixelColor(x, 0, mix(dropped, strip.color, strip.keptShare(begin, end)));
    }
    return image;
}

QImage colorBarImage(const ColorTable& table)
{
    QImage image(1, 256, QImage::Format_RGB32);
    const auto entries = colorMapEntries(table.map());
    for (int y = 0; y < 256; ++y)
        image.setPixel(0, y, entries[static_cast<std::size_t>(255 - y)] | 0xFF000000U);
    return image;
}

} // namespace

FigureFormat figureFormat(const std::filesystem::path& path)
{
    const std::string suffix = path.extension().string();
    if (suffix == ".pdf")
        return FigureFormat::Pdf;
    if (suffix == ".svg")
        return FigureFormat::Svg;
    if (suffix == ".png")
        return FigureFormat::Png;
    if (suffix == ".csv")
        return FigureFormat::Csv;
    throw FigureError(fmt::format("{}: found suffix \"{}\", expected .pdf, .svg, .png or .csv", path.string(), suffix));
}

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
    image.fill(paper);
    const bool shaded = m_data.spec.shadeDropped && !m_data.strips.empty();
    std::vector<std::int64_t> bins;
    std::vector<double> paled;
    for (int x = 0; x < size.width(); ++x) {
        const std::int64_t begin = m_data.keys.begin + x * m_data.keys.size() / size.width();
        const std::int64_t end = std::max(begin + 1, m_data.keys.begin + (x + 1) * m_data.keys.size() / size.width());
        bins.push_back((begin >> m_data.level) - m_data.firstColumn);
        paled.push_back(shaded ? 0.75 * (1.0 - m_data.strips.front().keptShare(begin, end)) : 0.0);
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
            pixels[x] = paled[column] > 0.0 ? mix(color, paper, paled[column]).rgb() : color.rgb();
        }
    }
    image.setDotsPerMeterX(static_cast<int>(std::lround(m_data.spec.dpi * dotsPerMetre)));
    image.setDotsPerMeterY(image.dotsPerMeterX());
    return image;
}

void AttentionFigure::paint(QPaintDevice& device) const
{
    const double font = m_data.spec.fontPoints;
    const double small = 0.85;
    const double tick = 0.35 * font;
    const FigureLayout& at = m_layout;
    const QRectF& map = at.map;
    PointPainter painter(device, font);
    painter.fill(QRectF(QPointF(), at.page), paper);

    if (!at.title.isEmpty())
        painter.text(map.left(), at.titleBaseline, at.title, 0.0);
    const QImage picture = mapImage();
    for (std::size_t index = 0; index < at.strips.size(); ++index) {
        const FigureStrip& strip = m_data.strips[index];
        const QRectF& place = at.strips[index];
        painter.image(place, stripImage(strip, m_data.keys, picture.width()));
        painter.text(
            place.left() - 0.5 * font, place.bottom() - 0.15 * font, strip.name, 1.0, 1.0, mix(strip.color, ink, 0.35));
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

    painter.image(map, picture);
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

    const ColorTable table(m_data.spec.colorMap, m_data.spec.scale, m_data.spec.range);
    painter.image(at.colorBar, colorBarImage(table));
    painter.frame(at.colorBar, ink, 0.5);
    for (const FigureTick& mark : at.colorTicks) {
        const double y = at.colorBar.bottom() - mark.place * at.colorBar.height();
        painter.line(at.colorBar.right(), y, at.colorBar.right() + tick, y, ink, 0.5);
        painter.text(at.colorBar.right() + 0.6 * font, y + 0.3 * font, mark.label, 0.0, small);
    }
    const QString pooled = m_data.poolingText();
    painter.textUpwards(at.colorLabelCentre + 0.35 * font, at.colorBar.center().y(),
        pooled.isEmpty() ? translate("attention") : translate("attention, %1").arg(pooled), 0.5);
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

QByteArray AttentionFigure::renderPdf() const
{
    QByteArray bytes;
    QBuffer buffer(&bytes);
    buffer.open(QIODevice::WriteOnly);
    {
        QPdfWriter writer(&buffer);
        writer.setResolution(pdfDensity);
        writer.setPageSize(QPageSize(m_layout.page, QPageSize::Point, QString(), QPageSize::ExactMatch));
        writer.setPageMargins(QMarginsF());
        writer.setTitle(m_layout.title + QStringLiteral(" (") + description() + QLatin1Char(')'));
        writer.setCreator(QStringLiteral("KVLoupe"));
        paint(writer);
    }
    // The writer stamps the present moment; a figure is the same whenever it is made.
    const QByteArray key("/CreationDate (D:");
    for (qsizetype at = bytes.indexOf(key); at >= 0; at = bytes.indexOf(key, at + 1)) {
        const qsizetype end = bytes.indexOf(')', at);
        static constexpr std::string_view epoch = "19700101000000";
        for (qsizetype index = at + key.size(), digit = 0; index < end; ++index, ++digit)
            bytes[index] = digit < static_cast<qsizetype>(epoch.size()) ? epoch[static_cast<std::size_t>(digit)]
                : digit == 14                                           ? 'Z'
                                                                        : ' ';
    }
    return bytes;
}

QByteArray AttentionFigure::renderSvg() const
{
    QByteArray bytes;
    QBuffer buffer(&bytes);
    buffer.open(QIODevice::WriteOnly);
    {
        QSvgGenerator generator;
        generator.setOutputDevice(&buffer);
        generator.setResolution(svgDensity);
        const QSize size = (m_layout.page * svgDensity / 72.0).toSize();
        generator.setSize(size);
        generator.setViewBox(QRect(QPoint(), size));
        generator.setTitle(m_layout.title);
        generator.setDescription(description());
        paint(generator);
    }
    // Viewers blur enlarged images unless told not to.
    bytes.replace("<image ", "<image style=\"image-rendering:pixelated\" ");
    return bytes;
}

QByteArray AttentionFigure::renderPng() const
{
    const double scale = m_data.spec.dpi / 72.0;
    const QSize size(static_cast<int>(std::lround(m_layout.page.width() * scale)),
        static_cast<int>(std::lround(m_layout.page.height() * scale)));
    QImage image(size, QImage::Format_RGB32);
    if (image.isNull())
        throw FigureError(fmt::format("figure: {} x {} pixels do not fit in memory, expected a smaller size or dpi",
            size.width(), size.height()));
    image.setDotsPerMeterX(static_cast<int>(std::lround(m_data.spec.dpi * dotsPerMetre)));
    image.setDotsPerMeterY(image.dotsPerMeterX());
    image.setText(QStringLiteral("Title"), m_layout.title);
    image.setText(QStringLiteral("Description"), description());
    paint(image);
    QByteArray bytes;
    QBuffer buffer(&bytes);
    buffer.open(QIODevice::WriteOnly);
    if (!image.save(&buffer, "PNG"))
        throw FigureError("figure: Qt could not write a PNG, expected its PNG plug-in");
    return bytes;
}

QByteArray AttentionFigure::renderCsv() const
{
    fmt::memory_buffer out;
    fmt::format_to(fmt::appender(out), "query_begin,query_end,key_begin,key_end,attention");
    for (const FigureStrip& strip : m_data.strips) {
        std::string name = strip.spec;
        for (std::size_t at = name.find('"'); at != std::string::npos; at = name.find('"', at + 2))
            name.insert(at, 1, '"');
        fmt::format_to(fmt::appender(out), ",\"kept {}\"", name);
    }
    out.push_back('\n');
    const auto bin = [&](std::int64_t number, const TokenRange& range) {
        return TokenRange{
            std::max(number << m_data.level, range.begin), std::min((number + 1) << m_data.level, range.end)};
    };
    std::vector<std::string> kept;
    for (std::int64_t column = 0; column < m_data.columns; ++column) {
        const TokenRange keys = bin(m_data.firstColumn + column, m_data.keys);
        std::string shares;
        for (const FigureStrip& strip : m_data.strips)
            shares += fmt::format(",{}", strip.keptShare(keys.begin, keys.end));
        kept.push_back(std::move(shares));
    }
    for (std::int64_t row = 0; row < m_data.rows; ++row) {
        const TokenRange queries = bin(m_data.firstRow + row, m_data.queries);
        for (std::int64_t column = 0; column < m_data.columns && m_data.isCausal(row, column); ++column) {
            const TokenRange keys = bin(m_data.firstColumn + column, m_data.keys);
            fmt::format_to(fmt::appender(out), "{},{},{},{},{}{}\n", queries.begin, queries.end, keys.begin, keys.end,
                halfToFloat(m_data.cell(row, column)), kept[static_cast<std::size_t>(column)]);
        }
    }
    return {out.data(), static_cast<qsizetype>(out.size())};
}

QByteArray AttentionFigure::render(FigureFormat format) const
{
    switch (format) {
    case FigureFormat::Pdf:
        return renderPdf();
    case FigureFormat::Svg:
        return renderSvg();
    case FigureFormat::Png:
        return renderPng();
    case FigureFormat::Csv:
        break;
    }
    return renderCsv();
}

void AttentionFigure::save(const std::filesystem::path& path) const
{
    writeWhole(path, render(figureFormat(path)));
}

void writeWhole(const std::filesystem::path& path, const QByteArray& bytes)
{
    QSaveFile file(QString::fromStdString(path.string()));
    if (!file.open(QIODevice::WriteOnly) || file.write(bytes) != bytes.size() || !file.commit())
        throw FigureError(fmt::format("{}: cannot be written: {}", path.string(), file.errorString().toStdString()));
}

} // namespace kvloupe
