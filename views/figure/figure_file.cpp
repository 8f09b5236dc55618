// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/figure/figure_file.h"

#include "views/figure/figure_fonts.h"
#include "views/figure/figure_spec.h"
#include "views/figure/latex.h"

#include <QBuffer>
#include <QHashFunctions>
#include <QImage>
#include <QPdfWriter>
#include <QSaveFile>
#include <QSvgGenerator>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <system_error>

namespace kvloupe {

namespace {

constexpr double dotsPerMetre = 1.0 / 0.0254;
constexpr int svgDensity = 720; ///< units per inch: a tenth of a point
constexpr int pdfDensity = 1200;

/// Qt's PDF writer puts fonts down in the order of a hash, which differs from run to run unless its seed is fixed.
/// Hashes that are made while an object of this type lives have that seed.
class FixedHashOrder {
public:
    FixedHashOrder() { QHashSeed::setDeterministicGlobalSeed(); }
    ~FixedHashOrder() { QHashSeed::resetRandomGlobalSeed(); }
    FixedHashOrder(const FixedHashOrder&) = delete;
    FixedHashOrder& operator=(const FixedHashOrder&) = delete;
};

QByteArray renderPdf(const FigurePage& page)
{
    QByteArray bytes;
    QBuffer buffer(&bytes);
    buffer.open(QIODevice::WriteOnly);
    {
        const FixedHashOrder order;
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
    // Machines without our fonts have some of the same widths.
    const QByteArray family = figureFontFamilies().front().toUtf8();
    bytes.replace("font-family=\"" + family + "\"",
        "font-family=\"" + family + ", Liberation Sans, Arial, Helvetica, sans-serif\"");
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
    if (suffix == ".tex")
        return FigureFormat::Tex;
    throw FigureError(
        fmt::format("{}: found suffix \"{}\", expected .pdf, .svg, .png, .csv or .tex", path.string(), suffix));
}

QByteArray renderPage(const FigurePage& page, FigureFormat format, const std::filesystem::path& graphics)
{
    switch (format) {
    case FigureFormat::Pdf:
        return renderPdf(page);
    case FigureFormat::Svg:
        return renderSvg(page);
    case FigureFormat::Png:
        return renderPng(page);
    case FigureFormat::Csv:
        return csvOf(page.table);
    case FigureFormat::Tex:
        return latexOf(page, graphics);
    }
    Q_UNREACHABLE();
}

void writePage(const FigurePage& page, const std::vector<std::filesystem::path>& outputs)
{
    const auto isPicture = [](const std::filesystem::path& path) {
        return figureFormat(path) == FigureFormat::Pdf || figureFormat(path) == FigureFormat::Png;
    };
    const auto picture = std::ranges::find_if(outputs, isPicture);
    std::vector<QByteArray> files;
    for (const std::filesystem::path& output : outputs) {
        std::filesystem::path graphics = output.filename().replace_extension(".pdf");
        if (picture != outputs.end())
            graphics = std::filesystem::absolute(*picture).lexically_relative(
                std::filesystem::absolute(output).parent_path());
        files.push_back(renderPage(page, figureFormat(output), graphics));
    }
    for (std::size_t index = 0; index < outputs.size(); ++index)
        writeWhole(outputs[index], files[index]);
}

void writeWhole(const std::filesystem::path& path, const QByteArray& bytes)
{
    // A file that is renamed over a device, also through a link, would replace it.
    std::error_code problem;
    const auto type = std::filesystem::status(path, problem).type();
    if (type != std::filesystem::file_type::not_found && type != std::filesystem::file_type::regular)
        throw FigureError(fmt::format("{}: cannot be written: {}", path.string(),
            problem ? problem.message() : std::string("it is there and no regular file")));
    QSaveFile file(QString::fromStdString(path.string()));
    if (!file.open(QIODevice::WriteOnly) || file.write(bytes) != bytes.size() || !file.commit())
        throw FigureError(fmt::format("{}: cannot be written: {}", path.string(), file.errorString().toStdString()));
}

} // namespace kvloupe
