// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/figure/figure_file.h"

#include "views/figure/figure_spec.h"

#include <QBuffer>
#include <QImage>
#include <QPdfWriter>
#include <QSaveFile>
#include <QSvgGenerator>

#include <fmt/format.h>

#include <cmath>

namespace kvloupe {

namespace {

constexpr double dotsPerMetre = 1.0 / 0.0254;
constexpr int svgDensity = 720; ///< units per inch: a tenth of a point
constexpr int pdfDensity = 1200;

QByteArray renderPdf(const FigurePage& page)
{
    QByteArray bytes;
    QBuffer buffer(&bytes);
    buffer.open(QIODevice::WriteOnly);
    {
        QPdfWriter writer(&buffer);
        writer.setResolution(pdfDensity);
        writer.setPageSize(QPageSize(page.size, QPageSize::Point, QString(), QPageSize::ExactMatch));
        writer.setPageMargins(QMarginsF());
        writer.setTitle(page.title + QStringLiteral(" (") + page.description + QLatin1Char(')'));
        writer.setCreator(QStringLiteral("KVLoupe"));
        page.paint(writer);
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

QByteArray renderSvg(const FigurePage& page)
{
    QByteArray bytes;
    QBuffer buffer(&bytes);
    buffer.open(QIODevice::WriteOnly);
    {
        QSvgGenerator generator;
        generator.setOutputDevice(&buffer);
        generator.setResolution(svgDensity);
        const QSize size = (page.size * svgDensity / 72.0).toSize();
        generator.setSize(size);
        generator.setViewBox(QRect(QPoint(), size));
        generator.setTitle(page.title);
        generator.setDescription(page.description);
        page.paint(generator);
    }
    // Viewers blur enlarged images unless told not to.
    bytes.replace("<image ", "<image style=\"image-rendering:pixelated\" ");
    return bytes;
}

QByteArray renderPng(const FigurePage& page)
{
    const double scale = page.dpi / 72.0;
    const QSize size(static_cast<int>(std::lround(page.size.width() * scale)),
        static_cast<int>(std::lround(page.size.height() * scale)));
    QImage image(size, QImage::Format_RGB32);
    if (image.isNull())
        throw FigureError(fmt::format("figure: {} x {} pixels do not fit in memory, expected a smaller size or dpi",
            size.width(), size.height()));
    // A page that ends within a pixel covers the last one in part: what is under it must be the same every time.
    image.fill(Qt::white);
    image.setDotsPerMeterX(static_cast<int>(std::lround(page.dpi * dotsPerMetre)));
    image.setDotsPerMeterY(image.dotsPerMeterX());
    image.setText(QStringLiteral("Title"), page.title);
    image.setText(QStringLiteral("Description"), page.description);
    page.paint(image);
    QByteArray bytes;
    QBuffer buffer(&bytes);
    buffer.open(QIODevice::WriteOnly);
    if (!image.save(&buffer, "PNG"))
        throw FigureError("figure: Qt could not write a PNG, expected its PNG plug-in");
    return bytes;
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

QByteArray renderPage(const FigurePage& page, FigureFormat format)
{
    switch (format) {
    case FigureFormat::Pdf:
        return renderPdf(page);
    case FigureFormat::Svg:
        return renderSvg(page);
    case FigureFormat::Png:
        return renderPng(page);
    case FigureFormat::Csv:
        break;
    }
    throw FigureError("figure: a page cannot be painted as CSV");
}

void writeWhole(const std::filesystem::path& path, const QByteArray& bytes)
{
    QSaveFile file(QString::fromStdString(path.string()));
    if (!file.open(QIODevice::WriteOnly) || file.write(bytes) != bytes.size() || !file.commit())
        throw FigureError(fmt::format("{}: cannot be written: {}", path.string(), file.errorString().toStdString()));
}

} // namespace kvloupe
