// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/timeline/timeline_figure.h"

#include "core/methods/method_registry.h"
#include "core/recording/recording.h"
#include "core/replay/replay.h"
#include "views/chart/chart.h"
#include "views/figure/figure_spec.h"
#include "views/figure/point_painter.h"
#include "views/timeline/life_image.h"

#include <QCoreApplication>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace kvloupe {

namespace {

constexpr double smallText = 0.85;

QString translate(const char* text)
{
    return QCoreApplication::translate("TimelineFigure", text);
}

FigureTable tableOf(const std::shared_ptr<const HeadLife>& life)
{
    FigureTable table;
    table.columns = {"token", "born_after_step", "gone_after_step", "wanted_most_at_step", "wanted_attention"};
    table.rows = [life](const FigureTable::Row& give) {
        for (std::int64_t token = 0; token < life->tokens(); ++token) {
            const auto index = static_cast<std::size_t>(token);
            const bool isWanted = life->missed && life->missed->wantedAt[index] > 0;
            give(std::array<std::string, 5>{fmt::to_string(token), fmt::to_string(life->birth(token)),
                life->death(token) < 0 ? std::string() : fmt::to_string(life->death(token)),
                isWanted ? fmt::to_string(life->missed->wantedAt[index]) : std::string(),
                isWanted ? fmt::format("{}", life->missed->wantedMass[index]) : std::string()});
        }
    };
    return table;
}

PaintedPanel layOutLife(const std::shared_ptr<const HeadLife>& life, const PanelFrame& frame)
{
    const double font = frame.font;
    const double left = 1.8 * font + figureTextWidth(QString::number(life->steps), smallText * font);
    const double lost = life->missed && life->steps > 0 ? 6.0 * font : 0.0;
    const double width = frame.width - left - lost - 1.5 * font;
    if (width < 6.0 * font)
        throw FigureError(
            fmt::format("width: {:.0f} mm leave no room for the bars, expected a larger width or a smaller font",
                frame.width / pointsPerMillimetre));
    const double below = 3.6 * font;
    const double natural = std::clamp(0.4 * width, 8.0 * font, 24.0 * font);
    const double height = std::max(4.0 * font, frame.height > 0.0 ? frame.height - below : natural);
    const QSizeF size(frame.width, height + below);
    const QRectF bars(left, 0.5 * font, width, height);
    const auto pixels
        = [&](double points) { return std::max(1, static_cast<int>(std::lround(points / 72.0 * frame.dpi))); };
    const QImage image = lifeImage(*life, 0.0, static_cast<double>(life->tokens()),
        {static_cast<int>(std::min<std::int64_t>(pixels(width), life->tokens())), pixels(height)}, Qt::white);
    return {size, [life, size, bars, image, font, lost](PointPainter& painter) {
                const auto& [ink, paleInk, paper] = painter.colors();
                painter.fill(QRectF(QPointF(), size), paper);
                painter.image(bars, image);
                const double tokens = static_cast<double>(life->tokens());
                const double row = bars.height() / static_cast<double>(life->steps + 1);
                const double end = bars.left() + static_cast<double>(life->promptTokens) / tokens * bars.width();
                if (life->steps > 0)
                    painter.line(end, bars.top(), end, bars.bottom(), ink, 0.5, true);
                painter.frame(bars, ink, 0.5);
                for (const double tick :
                    niceTicks(0.0, tokens, std::max(2, static_cast<int>(bars.width() / (4.5 * font))))) {
                    const double x = bars.left() + tick / tokens * bars.width();
                    painter.line(x, bars.bottom(), x, bars.bottom() + 0.3 * font, ink, 0.5);
                    painter.text(x, bars.bottom() + 1.35 * font, QString::number(tick, 'f', 0), 0.5, smallText);
                }
                painter.text(bars.center().x(), bars.bottom() + 2.7 * font, translate("token"), 0.5);
                const auto steps = static_cast<double>(life->steps);
                for (const double tick : life->steps > 0
                        ? niceTicks(0.0, steps, std::max(2, static_cast<int>(bars.height() / (2.0 * font))))
                        : std::vector<double>{0.0}) {
                    const double y = bars.top() + (tick + 0.5) * row;
                    painter.line(bars.left() - 0.3 * font, y, bars.left(), y, ink, 0.5);
                    painter.text(
                        bars.left() - 0.5 * font, y + 0.3 * font, QString::number(tick, 'f', 0), 1.0, smallText);
                }
                painter.textUpwards(font, bars.center().y(), translate("generated token"), 0.5);
                if (lost == 0.0)
                    return;
                const QRectF missed(bars.right() + 0.8 * font, bars.top(), lost - 1.2 * font, bars.height());
                painter.line(missed.left(), missed.top(), missed.left(), missed.bottom(), ink, 0.5);
                for (std::int64_t step = 1; step <= life->steps; ++step) {
                    const double mass = static_cast<double>(life->missed->lostMass[static_cast<std::size_t>(step - 1)]);
                    painter.fillSharp(QRectF(missed.left(), missed.top() + row * static_cast<double>(step),
                                          missed.width() * mass, 0.85 * row),
                        life->color);
                }
                painter.text(missed.left(), bars.bottom() + 1.35 * font, QStringLiteral("0"), 0.5, smallText);
                painter.text(missed.right(), bars.bottom() + 1.35 * font, QStringLiteral("1"), 0.5, smallText);
                painter.text(missed.center().x(), bars.bottom() + 2.7 * font, translate("missed"), 0.5);
            }};
}

} // namespace

std::shared_ptr<const PanelData> readTimeline(const Recording& recording, const ReplaySpec& spec)
{
    if (spec.methods.size() != 1 || !spec.layer || !spec.head)
        throw FigureError(fmt::format("figure timeline: found {} methods, {}, expected one method, a layer and a head",
            spec.methods.size(), spec.head ? "a layer and a head" : "no head"));
    const ReplayedSample replayed = replaySample(recording, spec);
    const ReplayedMethod& method = replayed.methods.front();
    const Method parsed = parseMethod(method.spec);
    const std::vector<ScoredSample> scored = Replay(recording).score(replayed.sample->sample, std::span(&parsed, 1));
    HeadLife life;
    life.sample = replayed.sample;
    life.layer = *spec.layer;
    life.head = *spec.head;
    life.method = method.title;
    life.color = method.color;
    life.fill(recording, scored.front(), spec.budget);
    const auto shared = std::make_shared<const HeadLife>(std::move(life));
    PanelParts::Parts parts;
    parts.title = translate("%1, %2 at %3").arg(replayed.scope(), method.title, budgetText(spec.budget));
    parts.description = replayed.description();
    parts.caption
        = translate("Tokens in the cache under %1, from their birth to their death over %2 generated tokens, %3; "
                    "missed: share of the attention of a step's query, under full attention, on tokens that are gone.")
              .arg(method.title)
              .arg(shared->steps)
              .arg(replayed.circumstances());
    parts.table = tableOf(shared);
    parts.canStretch = true;
    parts.layOut = [shared](const PanelFrame& frame) { return layOutLife(shared, frame); };
    return std::make_shared<PanelParts>(std::move(parts), spec.title);
}

} // namespace kvloupe
