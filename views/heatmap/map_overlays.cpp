// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/heatmap/map_overlays.h"

#include <QCoreApplication>
#include <QFontMetricsF>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <utility>

namespace kvloupe {
namespace {

constexpr int stripHeight = 11;
constexpr int stripGap = 3;
constexpr int gapAboveMap = 8; // room for the label of the first query
constexpr double hatchPeriod = 10.0; // logical units
const QColor shadeColor(112, 112, 112);
const QColor hatchColor(208, 208, 208);
constexpr float shadeOpacity = 0.62F;
constexpr float smallestShare = 0.2F; // of a bin: one dropped token among many must still be seen

QRgb premultiplied(const QColor& color, float opacity)
{
    return qPremultiply(
        qRgba(color.red(), color.green(), color.blue(), static_cast<int>(std::lround(opacity * 255.0F))));
}

QColor mixed(const QColor& one, const QColor& other, float otherShare)
{
    const auto mix = [otherShare](int a, int b) {
        return static_cast<int>(std::lround(static_cast<float>(a) + otherShare * static_cast<float>(b - a)));
    };
    return {mix(one.red(), other.red()), mix(one.green(), other.green()), mix(one.blue(), other.blue())};
}

/// Lines that show on dark and on light ground.
void drawTwoTone(QCPPainter* painter, const QRectF& box)
{
    painter->setBrush(Qt::NoBrush);
    painter->setPen(QPen(Qt::black, 1));
    painter->drawRect(box.adjusted(-2, -2, 1, 1));
    painter->setPen(QPen(Qt::white, 1));
    painter->drawRect(box.adjusted(-1, -1, 0, 0));
}

QColor bandColor(const Span& span)
{
    switch (span.kind) {
    case SpanKind::Bos:
    case SpanKind::System:
    case SpanKind::Template:
        return {0xd0, 0xd0, 0xd0};
    case SpanKind::Instruction:
        return {0xe3, 0xd4, 0xf1};
    case SpanKind::Shot:
    case SpanKind::ShotQuestion:
        return span.shot % 2 == 0 ? QColor(0xcf, 0xe3, 0xf5) : QColor(0xa9, 0xcc, 0xea);
    case SpanKind::ShotAnswer:
        return {0x4d, 0x8c, 0xc4};
    case SpanKind::Context:
        return {0xe6, 0xe6, 0xcf};
    case SpanKind::Needle:
    case SpanKind::Evidence:
        return {0xf2, 0xc1, 0x4e};
    case SpanKind::Question:
        return {0xf7, 0xd9, 0xb8};
    case SpanKind::Thinking:
        return {0xd8, 0xe8, 0xc8};
    case SpanKind::Answer:
    case SpanKind::Generated:
        return {0xbf, 0xe0, 0xb0};
    }
    return {0xd0, 0xd0, 0xd0};
}

/// Questions and answers of a shot lie inside its band: a line along the edge instead of a band of their own.
bool isPartOfShot(const Span& span)
{
    return span.kind == SpanKind::ShotQuestion || span.kind == SpanKind::ShotAnswer;
}

} // namespace

KeepLayer::KeepLayer(QCPAxisRect* rect, const QString& layer, const TilePlottable& map)
    : QCPLayerable(rect->parentPlot(), layer)
    , m_rect(rect)
    , m_map(map)
{
}

void KeepLayer::setOverlays(std::vector<KeepOverlay> overlays)
{
    m_overlays = std::move(overlays);
    m_countedTokens = -1;
}

int KeepLayer::heightOf(std::size_t strips)
{
    return strips == 0 ? 0 : static_cast<int>(strips) * (stripHeight + stripGap) + gapAboveMap;
}

QRect KeepLayer::stripRect(std::size_t strip) const
{
    const int top
        = mapArea(*m_rect).top() - heightOf(m_overlays.size()) + static_cast<int>(strip) * (stripHeight + stripGap);
    return {m_rect->left(), top, m_rect->width(), stripHeight};
}

void KeepLayer::applyDefaultAntialiasingHint(QCPPainter* painter) const
{
    painter->setAntialiasing(false);
}

QRect KeepLayer::clipRect() const
{
    return mParentPlot->viewport();
}

std::vector<float> KeepLayer::droppedShares(std::size_t strip, std::span<const std::int32_t> bins, int level) const
{
    const auto& keptBefore = m_counts[strip].keptBefore;
    const std::int64_t present = std::min(m_overlays[strip].tokens, m_countedTokens);
    const std::int64_t tokens = m_countedTokens;
    const std::int64_t binCount = (tokens + (std::int64_t{1} << level) - 1) >> level;
    const int lastPixel = pixelOfHiddenLastBin(bins, windowOf(*m_rect).keyEnd, level, binCount);
    std::vector<float> shares(bins.size(), 0.0F);
    for (std::size_t x = 0; x < bins.size(); ++x) {
        if (bins[x] < 0)
            continue;
        const std::int64_t begin = static_cast<std::int64_t>(bins[x]) << level;
        const bool withLastBin = static_cast<int>(x) == lastPixel;
        const std::int64_t end = withLastBin ? present : std::min(begin + (std::int64_t{1} << level), present);
        if (begin >= end) {
            shares[x] = -1.0F;
            continue;
        }
        const auto kept = keptBefore[static_cast<std::size_t>(end)] - keptBefore[static_cast<std::size_t>(begin)];
        const float share = 1.0F - static_cast<float>(kept) / static_cast<float>(end - begin);
        shares[x] = share > 0.0F ? std::max(share, smallestShare) : 0.0F;
    }
    return shares;
}

void KeepLayer::drawStrip(
    QCPPainter* painter, std::size_t strip, const std::vector<float>& shares, const QRectF& target) const
{
    const KeepOverlay& overlay = m_overlays[strip];
    const QColor dropped(0xe4, 0xe4, 0xe4);
    QImage row(static_cast<int>(shares.size()), 1, QImage::Format_ARGB32_Premultiplied);
    auto* line = reinterpret_cast<QRgb*>(row.scanLine(0));
    for (std::size_t x = 0; x < shares.size(); ++x)
        line[x] = shares[x] < 0.0F ? 0U : mixed(overlay.color, dropped, shares[x]).rgb();
    const QRect rect = stripRect(strip);
    painter->drawImage(QRectF(target.left(), rect.top(), target.width(), rect.height()), row, QRectF(row.rect()));
    painter->setFont(m_font);
    painter->setPen(m_textColor);
    const QRectF label(0, rect.top() - 4, rect.left() - 5, rect.height() + 8);
    const QString text = QFontMetricsF(m_font).elidedText(overlay.name, Qt::ElideRight, label.width() - 4);
    painter->drawText(label, Qt::AlignRight | Qt::AlignVCenter | Qt::TextSingleLine, text);
}

void KeepLayer::drawShade(
    QCPPainter* painter, const std::vector<float>& shares, const MapPixels& pixels, int level) const
{
    const MapShape& shape = *m_map.shape();
    const std::int64_t factor = std::int64_t{1} << level;
    const std::int64_t bins = (shape.tokens + factor - 1) / factor;
    const auto columns = binsOfPixels(pixels.window.keyBegin, pixels.window.keyEnd, pixels.device.width(), level, bins);
    const auto rows
        = binsOfPixels(pixels.window.queryBegin, pixels.window.queryEnd, pixels.device.height(), level, bins);
    const auto isInside = [](std::int32_t bin) { return bin >= 0; };
    const auto insideBegin = std::ranges::find_if(columns, isInside);
    const auto insideEnd = std::find_if_not(insideBegin, columns.end(), isInside);

    // The hatching repeats, so a few rows stand for all.
    const auto width = static_cast<std::size_t>(pixels.device.width());
    const int period = std::max(4, static_cast<int>(std::lround(hatchPeriod * m_map.density())));
    const int lineWidth = std::max(1, static_cast<int>(std::lround(m_map.density())));
    std::vector<std::vector<QRgb>> patterns(static_cast<std::size_t>(period), std::vector<QRgb>(width));
    for (int phase = 0; phase < period; ++phase) {
        auto& pattern = patterns[static_cast<std::size_t>(phase)];
        for (std::size_t x = 0; x < width; ++x) {
            const bool hatched = (static_cast<int>(x) + phase) % period < lineWidth;
            pattern[x] = premultiplied(hatched ? hatchColor : shadeColor, shadeOpacity * std::max(0.0F, shares[x]));
        }
    }
    QImage image(pixels.device.size(), QImage::Format_ARGB32_Premultiplied);
    image.fill(0);
    for (int y = 0; y < image.height(); ++y) {
        const std::int32_t row = rows[static_cast<std::size_t>(y)];
        if (row < 0)
            continue;
        const BinRange existing = binsOfRow(shape, level, row);
        const auto begin = std::lower_bound(insideBegin, insideEnd, existing.first);
        const auto end = std::upper_bound(begin, insideEnd, existing.last);
        const auto offset = static_cast<std::size_t>(begin - columns.begin());
        const auto count = static_cast<std::size_t>(end - begin);
        std::memcpy(reinterpret_cast<QRgb*>(image.scanLine(y)) + offset,
            patterns[static_cast<std::size_t>(y % period)].data() + offset, count * sizeof(QRgb));
    }
    painter->drawImage(pixels.target, image, QRectF(image.rect()));
}

void KeepLayer::draw(QCPPainter* painter)
{
    if (m_overlays.empty() || !m_map.shape())
        return;
    const std::int64_t tokens = m_map.shape()->tokens;
    if (tokens != m_countedTokens) {
        m_countedTokens = tokens;
        m_counts.assign(m_overlays.size(), {});
        for (std::size_t i = 0; i < m_overlays.size(); ++i) {
            auto& counts = m_counts[i].keptBefore;
            counts.assign(static_cast<std::size_t>(tokens) + 1, 0);
            for (const std::int32_t position : m_overlays[i].kept) {
                if (position >= 0 && position < tokens)
                    counts[static_cast<std::size_t>(position) + 1] = 1;
            }
            std::partial_sum(counts.begin(), counts.end(), counts.begin());
        }
    }
    const MapPixels pixels = mapPixels(*m_rect, m_map.density());
    const int level = m_map.level();
    const std::int64_t bins = (tokens + (std::int64_t{1} << level) - 1) >> level;
    const auto columns = binsOfPixels(pixels.window.keyBegin, pixels.window.keyEnd, pixels.device.width(), level, bins);
    painter->setRenderHint(QPainter::SmoothPixmapTransform, false);
    for (std::size_t strip = 0; strip < m_overlays.size(); ++strip) {
        const auto shares = droppedShares(strip, columns, level);
        if (m_overlays[strip].shadeMap)
            drawShade(painter, shares, pixels, level);
        drawStrip(painter, strip, shares, pixels.target);
    }
}

SpanBands::SpanBands(QCPAxisRect* rect, const QString& layer)
    : QCPLayerable(rect->parentPlot(), layer)
    , m_rect(rect)
{
}

int SpanBands::thickness(const QFont& font)
{
    return static_cast<int>(std::ceil(QFontMetricsF(font).height())) + 2;
}

QRectF SpanBands::bandRect(const Span& span, Qt::Orientation orientation) const
{
    const bool keys = orientation == Qt::Horizontal;
    const QCPAxis* axis = m_rect->axis(keys ? QCPAxis::atBottom : QCPAxis::atLeft);
    const double begin = std::max(static_cast<double>(span.begin), axis->range().lower);
    const double end = std::min(static_cast<double>(span.end), axis->range().upper);
    if (begin >= end)
        return {};
    const double first = axis->coordToPixel(begin);
    const double last = axis->coordToPixel(end);
    const int size = thickness(m_font);
    const double edge = keys ? m_rect->top() + m_rect->height() + 2 : m_rect->left() - 2 - size;
    return keys ? QRectF(first, edge, last - first, size) : QRectF(edge, first, size, last - first);
}

void SpanBands::applyDefaultAntialiasingHint(QCPPainter* painter) const
{
    painter->setAntialiasing(false);
}

QRect SpanBands::clipRect() const
{
    return mParentPlot->viewport();
}

void SpanBands::drawBands(QCPPainter* painter, Qt::Orientation orientation) const
{
    const bool keys = orientation == Qt::Horizontal;
    const QFontMetricsF metrics(m_font);
    for (const bool parts : {false, true}) {
        for (const Span& span : m_spans) {
            QRectF band = bandRect(span, orientation);
            if (isPartOfShot(span) != parts || band.isEmpty())
                continue;
            if (span.kind == SpanKind::ShotQuestion)
                continue; // the rest of the shot's band
            if (parts) {
                // The answers: a line along the edge that faces the map.
                if (keys)
                    band.setHeight(3);
                else
                    band.setLeft(band.right() - 3);
            }
            painter->setPen(Qt::NoPen);
            painter->setBrush(bandColor(span));
            painter->drawRect(band);
            if (parts)
                continue;
            const QString text = spanLabel(span);
            const double room = (keys ? band.width() : band.height()) - 6;
            const double length = metrics.horizontalAdvance(text);
            painter->setPen(QColor(0x60, 0x60, 0x60));
            if (keys)
                painter->drawLine(band.topLeft(), band.bottomLeft());
            else
                painter->drawLine(band.topLeft(), band.topRight());
            if (room < length)
                continue;
            painter->setFont(m_font);
            painter->setPen(QColor(0x20, 0x20, 0x20));
            if (keys) {
                painter->drawText(band, Qt::AlignCenter | Qt::TextSingleLine, text);
            } else {
                painter->save();
                painter->translate(band.center());
                painter->rotate(-90);
                painter->drawText(QRectF(-band.height() / 2, -band.width() / 2, band.height(), band.width()),
                    Qt::AlignCenter | Qt::TextSingleLine, text);
                painter->restore();
            }
        }
    }
}

void SpanBands::draw(QCPPainter* painter)
{
    drawBands(painter, Qt::Horizontal);
    drawBands(painter, Qt::Vertical);
}

CursorLayer::CursorLayer(QCPAxisRect* rect, const QString& layer)
    : QCPLayerable(rect->parentPlot(), layer)
    , m_rect(rect)
{
}

void CursorLayer::setCell(std::int64_t query, std::int64_t key)
{
    m_query = query;
    m_key = key;
}

void CursorLayer::applyDefaultAntialiasingHint(QCPPainter* painter) const
{
    painter->setAntialiasing(false);
}

QRect CursorLayer::clipRect() const
{
    return m_rect->rect().adjusted(-2, -2, 2, 2);
}

void CursorLayer::draw(QCPPainter* painter)
{
    if (m_zoomBox.isValid())
        drawTwoTone(painter, m_zoomBox);
    if (m_query < 0 || m_key < 0)
        return;
    const QCPAxis* keys = m_rect->axis(QCPAxis::atBottom);
    const QCPAxis* queries = m_rect->axis(QCPAxis::atLeft);
    const auto key = static_cast<double>(m_key);
    const auto query = static_cast<double>(m_query);
    QRectF cell(QPointF(keys->coordToPixel(key), queries->coordToPixel(query)),
        QPointF(keys->coordToPixel(key + 1.0), queries->coordToPixel(query + 1.0)));
    // A cell of a few pixels could not be seen inside its own frame.
    constexpr double smallest = 7.0;
    if (cell.width() < smallest)
        cell.adjust(-(smallest - cell.width()) / 2, 0, (smallest - cell.width()) / 2, 0);
    if (cell.height() < smallest)
        cell.adjust(0, -(smallest - cell.height()) / 2, 0, (smallest - cell.height()) / 2);
    drawTwoTone(painter, cell.toAlignedRect());
    if (m_isPinned)
        drawTwoTone(painter, cell.toAlignedRect().adjusted(-4, -4, 4, 4));
}

RowStrip::RowStrip(QCPAxisRect* rect, const QString& layer)
    : QCPLayerable(rect->parentPlot(), layer)
    , m_rect(rect)
{
}

void RowStrip::setShares(std::vector<float> shares, const QColor& color)
{
    m_shares = std::move(shares);
    m_color = color;
}

void RowStrip::applyDefaultAntialiasingHint(QCPPainter* painter) const
{
    painter->setAntialiasing(false);
}

QRect RowStrip::clipRect() const
{
    return mParentPlot->viewport();
}

void RowStrip::draw(QCPPainter* painter)
{
    if (m_shares.empty())
        return;
    constexpr int gap = 6;
    const QRect area = mapArea(*m_rect);
    const QRect ground(area.right() + gap, area.top(), width - gap, area.height());
    painter->fillRect(ground, QColor(0xe4, 0xe4, 0xe4));
    const QCPAxis* queries = m_rect->axis(QCPAxis::atLeft);
    const auto tokens = static_cast<double>(m_shares.size());
    for (int y = ground.top(); y <= ground.bottom(); ++y) {
        const double begin = std::clamp(std::floor(queries->pixelToCoord(y)), 0.0, tokens);
        const double end = std::clamp(std::max(begin + 1.0, std::floor(queries->pixelToCoord(y + 1))), 0.0, tokens);
        float largest = -1.0F;
        for (auto row = static_cast<std::size_t>(begin); row < static_cast<std::size_t>(end); ++row)
            largest = std::max(largest, m_shares[row]); // false with NaN
        if (largest > 0.0F) {
            const int length = std::max(1, static_cast<int>(std::lround(largest * static_cast<float>(ground.width()))));
            painter->fillRect(QRect(ground.left(), y, length, 1), m_color);
        }
    }
}

GenerationMarks::GenerationMarks(QCPAxisRect* rect, const QString& layer)
    : QCPLayerable(rect->parentPlot(), layer)
    , m_rect(rect)
{
}

void GenerationMarks::applyDefaultAntialiasingHint(QCPPainter* painter) const
{
    painter->setAntialiasing(false);
}

QRect GenerationMarks::clipRect() const
{
    return m_rect->rect();
}

void GenerationMarks::draw(QCPPainter* painter)
{
    const QRect area = mapArea(*m_rect);
    const QCPAxis* keys = m_rect->axis(QCPAxis::atBottom);
    const QCPAxis* queries = m_rect->axis(QCPAxis::atLeft);
    if (m_promptTokens > 0) {
        const auto tokens = static_cast<double>(m_promptTokens);
        const int x = static_cast<int>(std::lround(keys->coordToPixel(tokens)));
        const int y = static_cast<int>(std::lround(queries->coordToPixel(tokens)));
        const int diagonal = std::clamp(x, area.left(), area.left() + area.width());
        for (const auto& [style, color] : {std::pair{Qt::SolidLine, Qt::black}, {Qt::DashLine, Qt::white}}) {
            painter->setPen(QPen(color, 1, style));
            // Up to the diagonal: there is nothing above it to divide.
            painter->drawLine(QLineF(area.left(), y, diagonal, y));
            painter->drawLine(QLineF(x, std::max(y, area.top()), x, area.bottom()));
        }
    }
    if (m_query < 0)
        return;
    constexpr double size = 7.0;
    const double y = queries->coordToPixel(static_cast<double>(m_query) + 0.5);
    if (y < area.top() || y > area.bottom())
        return;
    painter->setPen(QPen(Qt::white, 1));
    painter->setBrush(Qt::black);
    const auto mark = [&](double edge, double tip) {
        painter->drawPolygon(QPolygonF{{edge, y - size / 2}, {tip, y}, {edge, y + size / 2}});
    };
    mark(area.left(), area.left() + size);
    mark(area.right(), area.right() - size);
}

QString spanLabel(const Span& span)
{
    if (!span.label.empty() && span.kind != SpanKind::Shot)
        return QString::fromStdString(span.label);
    const auto text = [](const char* source) { return QCoreApplication::translate("SpanBands", source); };
    switch (span.kind) {
    case SpanKind::Bos:
        return text(QT_TRANSLATE_NOOP("SpanBands", "start"));
    case SpanKind::System:
        return text(QT_TRANSLATE_NOOP("SpanBands", "system"));
    case SpanKind::Template:
        return text(QT_TRANSLATE_NOOP("SpanBands", "template"));
    case SpanKind::Instruction:
        return text(QT_TRANSLATE_NOOP("SpanBands", "instruction"));
    case SpanKind::Shot:
    case SpanKind::ShotQuestion:
    case SpanKind::ShotAnswer:
        return text(QT_TRANSLATE_NOOP("SpanBands", "shot %1")).arg(span.shot + 1);
    case SpanKind::Context:
        return text(QT_TRANSLATE_NOOP("SpanBands", "context"));
    case SpanKind::Needle:
        return text(QT_TRANSLATE_NOOP("SpanBands", "needle"));
    case SpanKind::Evidence:
        return text(QT_TRANSLATE_NOOP("SpanBands", "evidence"));
    case SpanKind::Question:
        return text(QT_TRANSLATE_NOOP("SpanBands", "question"));
    case SpanKind::Thinking:
        return text(QT_TRANSLATE_NOOP("SpanBands", "thinking"));
    case SpanKind::Answer:
        return text(QT_TRANSLATE_NOOP("SpanBands", "answer"));
    case SpanKind::Generated:
        return text(QT_TRANSLATE_NOOP("SpanBands", "generated"));
    }
    return {};
}

} // namespace kvloupe
