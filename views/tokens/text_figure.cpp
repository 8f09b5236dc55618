// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/tokens/text_figure.h"

#include "core/recording/recording.h"
#include "views/figure/figure_spec.h"
#include "views/figure/point_painter.h"
#include "views/methods/head_votes.h"
#include "views/tokens/token_layout.h"
#include "views/tokens/token_text.h"

#include <QCoreApplication>

#include <fmt/format.h>

#include <algorithm>

namespace kvloupe {

namespace {

constexpr double lineHeight = 1.5; ///< in font heights
constexpr double palest = 0.72; ///< of the way from ink to paper, for a token that no head keeps

QString translate(const char* text)
{
    return QCoreApplication::translate("TextFigure", text);
}

struct Piece {
    TokenGroup group;
    double share = 0.0; ///< of heads that keep it
};

struct TextContents {
    std::vector<Piece> pieces;
    QColor color;
    int heads = 0;
};

FigureTable tableOf(const std::shared_ptr<const TextContents>& contents)
{
    FigureTable table;
    table.columns = {"token_begin", "token_end", "text", "kept_share_of_heads", "heads"};
    table.rows = [contents](const FigureTable::Row& give) {
        for (const Piece& piece : contents->pieces)
            give(std::array<std::string, 5>{fmt::to_string(piece.group.begin), fmt::to_string(piece.group.end),
                csvQuoted(visibleControls(piece.group.text).toStdString()), fmt::format("{}", piece.share),
                fmt::to_string(contents->heads)});
    };
    return table;
}

PaintedPanel layOutText(const std::shared_ptr<const TextContents>& contents, const PanelFrame& frame)
{
    const double font = frame.font;
    std::vector<TokenGroup> groups;
    for (const Piece& piece : contents->pieces)
        groups.push_back(piece.group);
    auto layout
        = std::make_shared<TokenLayout>(groups, [font](const QString& text) { return figureTextWidth(text, font); });
    layout->layOut(frame.width - font);
    const QSizeF size(frame.width, std::max(frame.height, lineHeight * font * layout->lineCount() + font));
    return {size, [contents, layout, size, font](PointPainter& painter) {
                const auto& [ink, paleInk, paper] = painter.colors();
                painter.fill(QRectF(QPointF(), size), paper);
                for (int line = 0; line < layout->lineCount(); ++line) {
                    const double baseline = 0.5 * font + lineHeight * font * line + font;
                    for (const TokenFragment& fragment : layout->line(line)) {
                        const Piece& piece = contents->pieces[static_cast<std::size_t>(fragment.group)];
                        const double x = 0.5 * font + static_cast<double>(fragment.x);
                        const double end = x + static_cast<double>(fragment.width);
                        painter.text(
                            x, baseline, fragment.text, 0.0, 1.0, mixColors(ink, paper, palest * (1.0 - piece.share)));
                        if (piece.share > 0.0)
                            painter.line(x, baseline + 0.22 * font, end, baseline + 0.22 * font, contents->color,
                                0.14 * font * piece.share);
                        else
                            painter.line(x, baseline - 0.3 * font, end, baseline - 0.3 * font, paleInk, 0.5);
                    }
                }
            }};
}

} // namespace

std::shared_ptr<const PanelData> readText(const Recording& recording, const ReplaySpec& spec)
{
    if (spec.methods.size() != 1)
        throw FigureError(fmt::format("figure text: found {} methods, expected one", spec.methods.size()));
    const ReplayedSample replayed = replaySample(recording, spec);
    const std::int64_t tokens = replayed.sample->info.promptTokens;
    const TokenRange wanted = spec.keys.value_or(TokenRange{0, tokens});
    const TokenRange range{wanted.begin, wanted.end < 0 ? tokens : wanted.end};
    if (range.begin < 0 || range.begin >= range.end || range.end > tokens)
        throw FigureError(fmt::format(
            "keys: found {}:{}, expected a range within the {} tokens of the prompt", range.begin, range.end, tokens));
    const ReplayedMethod& method = replayed.methods.front();
    const HeadVotes votes = countVotes(*method.kept, tokens);
    auto contents = std::make_shared<TextContents>();
    contents->color = method.color;
    contents->heads = votes.heads;
    for (const TokenGroup& group : replayed.sample->tokens.groups()) {
        if (group.end <= range.begin || group.begin >= range.end)
            continue;
        double share = 0.0;
        for (std::int64_t token = group.begin; token < group.end; ++token)
            share += votes.share(token) / static_cast<double>(group.end - group.begin);
        contents->pieces.push_back({group, share});
    }
    PanelParts::Parts parts;
    parts.title = translate("%1, %2 at %3").arg(replayed.scope(), method.title, budgetText(spec.budget));
    parts.description = replayed.description();
    parts.caption
        = translate("What %1 keeps of the prompt, %2: underlined in proportion to the heads that keep a token, "
                    "struck through where none does.")
              .arg(method.title, replayed.circumstances());
    parts.table = tableOf(contents);
    parts.layOut = [contents](const PanelFrame& frame) { return layOutText(contents, frame); };
    return std::make_shared<PanelParts>(std::move(parts), spec.title);
}

} // namespace kvloupe
