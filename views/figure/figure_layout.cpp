// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/figure/figure_layout.h"

#include "views/figure/color_bar_painter.h"
#include "views/figure/point_painter.h"
#include "views/tokens/token_text.h"

#include <QCoreApplication>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace kvloupe {

namespace {

constexpr double longestTokenLabel = 12.0; ///< in font heights

QString translate(const char* text)
{
    return QCoreApplication::translate("AttentionFigure", text);
}

/// 1, 2 or 5 times a power of ten, the smallest that is at least `minimum`.
std::int64_t niceStep(double minimum)
{
    std::int64_t power = 1;
    while (true) {
        for (const std::int64_t factor : {1, 2, 5}) {
            if (static_cast<double>(factor * power) >= minimum)
                return factor * power;
        }
        power *= 10;
    }
}

std::vector<FigureTick> tokenTicks(const TokenText& text, const TokenRange& range, double font)
{
    std::vector<FigureTick> ticks;
    for (std::int64_t token = range.begin; token < range.end; ++token) {
        QString label = text.label(token, 16);
        while (label.size() > 2 && figureTextWidth(label, font) > longestTokenLabel * font)
            label = label.left(label.size() - 2) + QChar(u'\u2026');
        ticks.push_back({(static_cast<double>(token - range.begin) + 0.5) / static_cast<double>(range.size()), label});
    }
    return ticks;
}

std::vector<FigureTick> positionTicks(const TokenRange& range, double length, double spacing)
{
    std::vector<FigureTick> ticks;
    const std::int64_t step = niceStep(spacing * static_cast<double>(range.size()) / length);
    for (std::int64_t position = (range.begin + step - 1) / step * step; position < range.end; position += step)
        ticks.push_back({(static_cast<double>(position - range.begin) + 0.5) / static_cast<double>(range.size()),
            QString::number(position)});
    return ticks;
}

std::vector<FigureSection> figureSections(const SampleModel& sample)
{
    std::vector<FigureSection> sections;
    int number = 0;
    for (const TokenRange& shot : sample.layout.shots()) {
        sections.push_back({shot.begin, shot.end, translate("shot %1").arg(number + 1), number});
        ++number;
    }
    static constexpr std::array named{SpanKind::System, SpanKind::Instruction, SpanKind::Context, SpanKind::Question,
        SpanKind::Thinking, SpanKind::Answer};
    for (const Span& span : sample.layout.spans()) {
        if (span.shot < 0 && std::ranges::find(named, span.kind) != named.end()) {
            const std::string_view name = spanKindName(span.kind);
            sections.push_back(
                {span.begin, span.end, QString::fromUtf8(name.data(), static_cast<qsizetype>(name.size())), -1});
        }
    }
    std::ranges::stable_sort(sections, {}, &FigureSection::begin);
    return sections;
}

double widest(const std::vector<FigureTick>& ticks, double font)
{
    double width = 0.0;
    for (const FigureTick& tick : ticks)
        width = std::max(width, figureTextWidth(tick.label, font));
    return width;
}

} // namespace

std::vector<FigureTick> valueTicks(const ColorTable& table, double length, double font)
{
    std::vector<double> values;
    const ColorRange range = table.range();
    switch (table.scale()) {
    case ColorScale::Logarithmic:
        for (double exponent = std::ceil(std::log10(std::max(range.low, 1e-8)) - 1e-9);
             exponent <= std::log10(range.high) + 1e-9; ++exponent)
            values.push_back(std::pow(10.0, exponent));
        break;
    case ColorScale::SquareRoot:
        for (const double share : {0.0, 0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0})
            values.push_back(range.low + share * (range.high - range.low));
        break;
    case ColorScale::Linear:
        for (int step = 0; step <= 5; ++step)
            values.push_back(range.low + step * (range.high - range.low) / 5.0);
        break;
    }
    std::vector<FigureTick> ticks;
    for (const double value : values) {
        const double place = table.position(value);
        if (ticks.empty() || (place - ticks.back().place) * length >= 1.5 * font)
            ticks.push_back({place, QString::number(value, 'g', 2)});
    }
    return ticks;
}

QString keptText(const FigureStrip& strip, const FigureData& data)
{
    return translate("%1 of %2").arg(strip.kept.size()).arg(data.sample->info.promptTokens);
}

FigureLayout layOutFigure(const FigureData& data)
{
    const FigureSpec& spec = data.spec;
    const SampleModel& sample = *data.sample;
    const double font = spec.fontPoints;
    const double small = 0.85 * font;
    const double pad = 0.5 * font;
    const double width = spec.widthMm * pointsPerMillimetre;
    const TokenText text(sample.text);
    const ColorTable table(spec.colorMap, spec.scale, spec.range);
    FigureLayout layout;
    layout.title = spec.title ? QString::fromStdString(*spec.title)
                              : translate("%1, layer %2, head %3")
                                    .arg(QString::fromStdString(sample.model.name))
                                    .arg(spec.layer)
                                    .arg(spec.head);
    if (spec.showSpans)
        layout.sections = figureSections(sample);

    double names = 0.0;
    double counts = 0.0;
    for (const FigureStrip& strip : data.strips) {
        names = std::max(names, figureTextWidth(strip.name, font) + pad);
        counts = std::max(counts, figureTextWidth(keptText(strip, data), small) + pad);
    }
    const double colorPart = spec.showColorBar ? 1.8 * font + colorBarMargin(valueTicks(table, 1e9, font), font) : pad;
    const double right = std::max(colorPart, counts) + pad;
    const double band = layout.sections.empty() ? 0.0 : 1.1 * font;

    // Whether tokens fit decides the margin, and the margin how much room they have: once with the wider margin is
    // enough.
    const double tokenMargin = 1.5 * font
        + widest(
            tokenTicks(text, {data.queries.begin, std::min(data.queries.end, data.queries.begin + 200)}, small), small)
        + pad + band;
    const double numberMargin
        = 1.5 * font + figureTextWidth(QString::number(data.queries.end), small) + 1.5 * pad + band;
    const auto fits = [&](const TokenRange& range, double length) {
        return length / static_cast<double>(range.size()) >= 1.05 * small;
    };
    const double roomWithTokens = width - std::max(tokenMargin, names) - right;
    layout.queryTokens = spec.showTokens
        && fits(data.queries,
            roomWithTokens * static_cast<double>(data.queries.size()) / static_cast<double>(data.keys.size()));
    const double left = std::max(layout.queryTokens ? tokenMargin : numberMargin, names) + 0.5 * pad;
    const double mapWidth = width - left - right;
    if (mapWidth < 4.0 * font)
        throw FigureError(fmt::format(
            "width: {} mm leave no room for the map beside its text, expected a larger width or a smaller font",
            spec.widthMm));
    layout.keyTokens = spec.showTokens && fits(data.keys, mapWidth);

    double top = pad;
    if (!layout.title.isEmpty()) {
        layout.titleBaseline = top + font;
        top += 1.8 * font;
    }
    for (std::size_t strip = 0; strip < data.strips.size(); ++strip) {
        layout.strips.emplace_back(left, top, mapWidth, 0.9 * font);
        top += 1.2 * font;
    }
    if (!data.strips.empty())
        top += 0.3 * font;
    if (band > 0.0) {
        layout.keySections = QRectF(left, top, mapWidth, 0.9 * font);
        top += band;
    }

    layout.keyTicks
        = layout.keyTokens ? tokenTicks(text, data.keys, small) : positionTicks(data.keys, mapWidth, 4.5 * small);
    const double labels = layout.keyTokens ? widest(layout.keyTicks, small) : small;
    const double bottom = pad + labels + 0.7 * pad + 1.3 * font + 0.5 * pad;
    const double square = mapWidth * static_cast<double>(data.queries.size()) / static_cast<double>(data.keys.size());
    const double wantedHeight = spec.heightMm > 0.0 ? spec.heightMm * pointsPerMillimetre - top - bottom
                                                    : std::clamp(square, 0.2 * mapWidth, 3.0 * mapWidth);
    if (wantedHeight < 4.0 * font)
        throw FigureError(fmt::format(
            "height: {} mm leave no room for the map below its text, expected a larger height or a smaller font",
            spec.heightMm));
    layout.map = QRectF(left, top, mapWidth, wantedHeight);
    layout.page = QSizeF(width, top + wantedHeight + bottom);
    if (layout.queryTokens && !fits(data.queries, wantedHeight))
        layout.queryTokens = false;
    layout.queryTicks = layout.queryTokens ? tokenTicks(text, data.queries, small)
                                           : positionTicks(data.queries, wantedHeight, 2.5 * small);
    if (band > 0.0)
        layout.querySections = QRectF(left - band, top, 0.9 * font, wantedHeight);
    layout.keyLabelBaseline = layout.map.bottom() + pad + labels + 0.7 * pad + font;
    layout.queryLabelCentre = 0.5 * pad + 0.6 * font;
    if (spec.showColorBar) {
        layout.colorBar = QRectF(layout.map.right() + font, top, 0.8 * font, std::min(wantedHeight, 24.0 * font));
        layout.colorTicks = valueTicks(table, layout.colorBar.height(), font);
    }
    return layout;
}

QSize figureMapPixels(const FigureData& data)
{
    const FigureLayout layout = layOutFigure(data);
    const auto pixels
        = [&](double points) { return std::max(1, static_cast<int>(std::lround(points / 72.0 * data.spec.dpi))); };
    return {pixels(layout.map.width()), pixels(layout.map.height())};
}

} // namespace kvloupe
