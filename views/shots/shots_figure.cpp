// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/shots/shots_figure.h"

#include "core/recording/recording.h"
#include "views/chart/chart.h"
#include "views/figure/figure_spec.h"
#include "views/figure/point_painter.h"
#include "views/shots/shots_model.h"

#include <QCoreApplication>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace kvloupe {

namespace {

constexpr double smallText = 0.85;
constexpr double mostlyBroken = 0.5; ///< share of heads from which on a shot counts as broken

QString translate(const char* text)
{
    return QCoreApplication::translate("ShotsFigure", text);
}

struct Strip {
    QString title;
    QColor color;
    HeadVotes votes;
    std::vector<ShotFate> fates;
    double broken = 0.0; ///< shots, mean over heads
};

struct ShotsContents {
    std::int64_t promptTokens = 0;
    std::vector<TokenRange> shots;
    std::vector<Strip> strips;
};

QString percent(double share)
{
    return translate("%1 %").arg(std::lround(100.0 * share));
}

/// Where everything of the figure lies, in points.
class ShotsPainting {
public:
    ShotsPainting(std::shared_ptr<const ShotsContents> contents, const PanelFrame& frame)
        : m_contents(std::move(contents))
        , m_font(frame.font)
        , m_dpi(frame.dpi)
    {
        double names = 0.0;
        for (const Strip& strip : m_contents->strips)
            names = std::max(names, figureTextWidth(strip.title, m_font));
        m_left = names + m_font;
        m_right = figureTextWidth(brokenText(10.5), smallText * m_font) + m_font;
        m_plot = frame.width - m_left - m_right;
        if (m_plot < 6.0 * m_font)
            throw FigureError(fmt::format("width: {:.0f} mm leave no room beside the names of the methods, expected a "
                                          "larger width or a smaller font",
                frame.width / pointsPerMillimetre));
        const double strips = 2.6 * m_font * static_cast<double>(m_contents->strips.size());
        m_size = QSizeF(frame.width, std::max(frame.height, m_font * 2.0 + strips + 3.4 * m_font));
    }

    QSizeF size() const { return m_size; }

    void paint(PointPainter& painter) const
    {
        const auto& [ink, paleInk, paper] = painter.colors();
        painter.fill(QRectF(QPointF(), m_size), paper);
        double y = 0.5 * m_font;
        for (std::size_t shot = 0; shot < m_contents->shots.size(); ++shot) {
            const QRectF place = placeOf(shot, y, 1.1 * m_font);
            painter.fill(place, shot % 2 == 0 ? QColor(0xBF, 0xCC, 0xDC) : QColor(0xDD, 0xE5, 0xEF));
            label(painter, place, translate("shot %1").arg(shot + 1));
        }
        y += 1.5 * m_font;
        for (const Strip& strip : m_contents->strips) {
            paintStrip(painter, strip, y);
            y += 2.6 * m_font;
        }
        const double tokens = static_cast<double>(m_contents->promptTokens);
        for (const double tick : niceTicks(0.0, tokens, std::max(2, static_cast<int>(m_plot / (4.5 * m_font))))) {
            const double x = m_left + tick / tokens * m_plot;
            painter.line(x, y, x, y + 0.3 * m_font, ink, 0.5);
            painter.text(x, y + 1.35 * m_font, QString::number(tick, 'f', 0), 0.5, smallText);
        }
        painter.text(m_left + 0.5 * m_plot, y + 2.7 * m_font, translate("token"), 0.5);
    }

private:
    QRectF placeOf(std::size_t shot, double y, double height) const
    {
        const TokenRange& range = m_contents->shots[shot];
        const double scale = m_plot / static_cast<double>(m_contents->promptTokens);
        return {
            m_left + scale * static_cast<double>(range.begin), y, scale * static_cast<double>(range.size()), height};
    }

    static QString brokenText(double shots) { return translate("%1 broken").arg(shots, 0, 'f', 1); }

    void label(PointPainter& painter, const QRectF& place, const QString& text) const
    {
        if (figureTextWidth(text, smallText * m_font) < place.width() - 0.2 * m_font)
            painter.text(place.center().x(), place.bottom() - 0.25 * m_font, text, 0.5, smallText);
    }

    void paintStrip(PointPainter& painter, const Strip& strip, double y) const
    {
        const auto& [ink, paleInk, paper] = painter.colors();
        const QRectF bar(m_left, y, m_plot, 1.1 * m_font);
        painter.image(bar, votesImage(strip));
        painter.frame(bar, ink, 0.5);
        painter.text(m_left - 0.5 * m_font, y + 0.9 * m_font, strip.title, 1.0, 1.0, mixColors(strip.color, ink, 0.35));
        painter.text(
            m_left + m_plot + 0.5 * m_font, y + 0.9 * m_font, brokenText(strip.broken), 0.0, smallText, paleInk);
        for (std::size_t shot = 0; shot < m_contents->shots.size(); ++shot) {
            const QRectF under = placeOf(shot, y + 1.15 * m_font, 1.1 * m_font);
            if (strip.fates[shot].broken > mostlyBroken) {
                const QRectF over = placeOf(shot, y, 1.1 * m_font);
                for (const double x : {over.left(), over.right()})
                    painter.line(x, over.top(), x, over.bottom(), ink, 0.5, true);
            }
            label(painter, under, percent(strip.fates[shot].kept));
        }
    }

    /// One pixel per column of the figure, the mean vote of its tokens.
    QImage votesImage(const Strip& strip) const
    {
        const std::int64_t tokens = m_contents->promptTokens;
        const auto pixels = static_cast<int>(
            std::clamp<std::int64_t>(std::lround(m_plot / 72.0 * m_dpi), 1, std::max<std::int64_t>(tokens, 1)));
        QImage image(pixels, 1, QImage::Format_RGB32);
        for (int x = 0; x < pixels; ++x) {
            const std::int64_t begin = x * tokens / pixels;
            const std::int64_t end = std::max(begin + 1, (x + 1) * tokens / pixels);
            double share = 0.0;
            for (std::int64_t token = begin; token < end; ++token)
                share += strip.votes.share(token);
            image.setPixelColor(
                x, 0, mixColors(QColor(0xF2, 0xF2, 0xF2), strip.color, share / static_cast<double>(end - begin)));
        }
        return image;
    }

    std::shared_ptr<const ShotsContents> m_contents;
    double m_font;
    int m_dpi;
    double m_left = 0.0;
    double m_right = 0.0;
    double m_plot = 0.0; ///< width of the prompt
    QSizeF m_size;
};

FigureTable tableOf(const std::shared_ptr<const ShotsContents>& contents)
{
    FigureTable table;
    table.columns = {"method", "shot", "token_begin", "token_end", "kept_share", "broken_share_of_heads",
        "dropped_share_of_heads", "heads"};
    table.rows = [contents](const FigureTable::Row& give) {
        for (const Strip& strip : contents->strips) {
            for (std::size_t shot = 0; shot < contents->shots.size(); ++shot) {
                const ShotFate& fate = strip.fates[shot];
                give(std::array<std::string, 8>{csvQuoted(strip.title.toStdString()), fmt::to_string(shot + 1),
                    fmt::to_string(contents->shots[shot].begin), fmt::to_string(contents->shots[shot].end),
                    fmt::format("{}", fate.kept), fmt::format("{}", fate.broken), fmt::format("{}", fate.dropped),
                    fmt::to_string(fate.heads)});
            }
        }
    };
    return table;
}

} // namespace

std::shared_ptr<const PanelData> readShots(const Recording& recording, const ReplaySpec& spec)
{
    requireMethods(spec, "shots", 1);
    const ReplayedSample replayed = replaySample(recording, spec);
    auto contents = std::make_shared<ShotsContents>();
    contents->promptTokens = replayed.sample->info.promptTokens;
    const std::span<const TokenRange> shots = replayed.sample->layout.shots();
    contents->shots.assign(shots.begin(), shots.end());
    if (contents->shots.empty())
        throw FigureError(fmt::format("{}: sample {} has no shots, expected a few-shot prompt",
            recording.path().string(), replayed.sample->sample));
    for (const ReplayedMethod& method : replayed.methods) {
        Strip strip{method.title, method.color, countVotes(*method.kept, contents->promptTokens),
            shotFates(*method.kept, replayed.layers, shots, contents->promptTokens), 0.0};
        for (const ShotFate& fate : strip.fates)
            strip.broken += fate.broken;
        contents->strips.push_back(std::move(strip));
    }
    PanelParts::Parts parts;
    parts.title = replayed.scope();
    parts.description = replayed.description();
    parts.caption
        = translate("What methods keep of the shots, %1: the darker, the more heads keep a token; mean share "
                    "kept below; dashed borders around shots that most heads keep a part of; broken shots per "
                    "head at the right.")
              .arg(replayed.circumstances());
    parts.table = tableOf(contents);
    parts.layOut = [contents](const PanelFrame& frame) {
        const auto painting = std::make_shared<const ShotsPainting>(contents, frame);
        return PaintedPanel{painting->size(), [painting](PointPainter& painter) { painting->paint(painter); }};
    };
    return std::make_shared<PanelParts>(std::move(parts), spec.title);
}

} // namespace kvloupe
