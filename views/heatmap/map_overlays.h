// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/prompt/prompt_layout.h"
#include "views/heatmap/keep_overlay.h"
#include "views/heatmap/tile_plottable.h"

#include <QFont>

#include <cstdint>
#include <optional>
#include <vector>

namespace kvloupe {

/// What methods keep: a strip per method above the map, and dropped columns dimmed and hatched on it.
///
/// Pooled as the map is: a pixel stands for the cells of its bin and shows the share of them that is dropped, at least
/// a fifth if any is. Every strip is built as one row of pixels, so a change costs the width of the map.
class KeepLayer final : public QCPLayerable {
public:
    KeepLayer(QCPAxisRect* rect, const QString& layer, const TilePlottable& map);

    void setOverlays(std::vector<KeepOverlay> overlays);
    const std::vector<KeepOverlay>& overlays() const { return m_overlays; }
    void setFont(const QFont& font) { m_font = font; }
    void setTextColor(const QColor& color) { m_textColor = color; }

    /// Logical pixels needed above the map for `strips` strips.
    static int heightOf(std::size_t strips);
    /// Rectangle of a strip, logical pixels.
    QRect stripRect(std::size_t strip) const;

protected:
    void applyDefaultAntialiasingHint(QCPPainter* painter) const override;
    QRect clipRect() const override;
    void draw(QCPPainter* painter) override;

private:
    struct Counted {
        std::vector<std::int32_t> keptBefore; // prefix sums, [tokens + 1]
    };
    /// Of each pixel, negative for tokens that were not there yet.
    std::vector<float> droppedShares(std::size_t strip, std::span<const std::int32_t> bins, int level) const;
    void drawStrip(
        QCPPainter* painter, std::size_t strip, const std::vector<float>& shares, const QRectF& target) const;
    void drawShade(QCPPainter* painter, const std::vector<float>& shares, const MapPixels& pixels, int level) const;

    QCPAxisRect* m_rect;
    const TilePlottable& m_map;
    std::vector<KeepOverlay> m_overlays;
    std::vector<Counted> m_counts;
    std::int64_t m_countedTokens = -1;
    QFont m_font;
    QColor m_textColor;
};

/// Spans of the prompt as labelled bands below and left of the map.
class SpanBands final : public QCPLayerable {
public:
    SpanBands(QCPAxisRect* rect, const QString& layer);

    void setSpans(std::vector<Span> spans) { m_spans = std::move(spans); }
    void setFont(const QFont& font) { m_font = font; }
    bool hasSpans() const { return !m_spans.empty(); }

    /// Thickness of a band for a font, logical pixels.
    static int thickness(const QFont& font);
    /// Rectangle of the part of a span on show along one axis; empty if it is not.
    QRectF bandRect(const Span& span, Qt::Orientation orientation) const;

protected:
    void applyDefaultAntialiasingHint(QCPPainter* painter) const override;
    QRect clipRect() const override;
    void draw(QCPPainter* painter) override;

private:
    void drawBands(QCPPainter* painter, Qt::Orientation orientation) const;

    QCPAxisRect* m_rect;
    std::vector<Span> m_spans;
    QFont m_font;
};

/// The cell on which mouse or keyboard stand, and the box of a zoom in progress: dark and light lines, so that they
/// show on every colour.
class CursorLayer final : public QCPLayerable {
public:
    CursorLayer(QCPAxisRect* rect, const QString& layer);

    /// -1, -1 = none.
    void setCell(std::int64_t query, std::int64_t key);
    /// A cell that the mouse does not move has a frame of its own.
    void setPinned(bool pinned) { m_isPinned = pinned; }
    void setZoomBox(const QRect& box) { m_zoomBox = box; }

protected:
    void applyDefaultAntialiasingHint(QCPPainter* painter) const override;
    QRect clipRect() const override;
    void draw(QCPPainter* painter) override;

private:
    QCPAxisRect* m_rect;
    std::int64_t m_query = -1;
    std::int64_t m_key = -1;
    bool m_isPinned = false;
    QRect m_zoomBox;
};

/// A share per query as a strip of bars right of the map: what a row of the map loses. A pixel that stands for many
/// rows shows the largest.
class RowStrip final : public QCPLayerable {
public:
    RowStrip(QCPAxisRect* rect, const QString& layer);

    /// [tokens], NaN = not known; empty = no strip.
    void setShares(std::vector<float> shares, const QColor& color);
    bool isEmpty() const { return m_shares.empty(); }
    static constexpr int width = 28; ///< logical pixels, the gap to the map included

protected:
    void applyDefaultAntialiasingHint(QCPPainter* painter) const override;
    QRect clipRect() const override;
    void draw(QCPPainter* painter) override;

private:
    QCPAxisRect* m_rect;
    std::vector<float> m_shares;
    QColor m_color;
};

/// Where the prompt ends and generated tokens begin, as lines across the map, and the query of the step in view as
/// marks at both sides of its row.
class GenerationMarks final : public QCPLayerable {
public:
    GenerationMarks(QCPAxisRect* rect, const QString& layer);

    /// 0 = nothing was generated.
    void setPromptTokens(std::int64_t tokens) { m_promptTokens = tokens; }
    /// -1 = none.
    void setQuery(std::int64_t query) { m_query = query; }

protected:
    void applyDefaultAntialiasingHint(QCPPainter* painter) const override;
    QRect clipRect() const override;
    void draw(QCPPainter* painter) override;

private:
    QCPAxisRect* m_rect;
    std::int64_t m_promptTokens = 0;
    std::int64_t m_query = -1;
};

/// "shot 3", "question", ...: what a band says.
QString spanLabel(const Span& span);

} // namespace kvloupe
