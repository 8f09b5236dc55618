// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/tokens/token_fate.h"

#include <QCoreApplication>
#include <QLocale>
#include <QStringList>

#include <cmath>

namespace kvloupe {

namespace {

QString translate(const char* text)
{
    return QCoreApplication::translate("TokenFate", text);
}

QString count(std::int64_t tokens)
{
    return QLocale().toString(static_cast<qlonglong>(tokens));
}

QString number(float value)
{
    return std::isinf(value) ? QString(QChar(0x221E)) : QString::number(static_cast<double>(value), 'g', 4);
}

/// What took a token before anything was ranked, as the end of "it is ...".
QString guardText(Guard guard)
{
    switch (guard) {
    case Guard::None:
        return {};
    case Guard::Sink:
        return translate("among the first tokens, which are kept as sinks");
    case Guard::Recent:
        return translate("among the newest tokens, which are kept");
    case Guard::Window:
        return translate("in the observation window, whose queries do the scoring");
    case Guard::OutsideShots:
        return translate("outside the few-shot examples, which alone are ranked");
    case Guard::HeadMinimum:
        return translate("among the best of its head, which are safe from other heads");
    case Guard::FirstStage:
        return translate("taken by the first stage, before the second one ranks");
    case Guard::Prompt:
        return translate("a token of the prompt, and only generated tokens are evicted");
    case Guard::Layer:
        return translate("in a layer that is exempt");
    case Guard::Given:
        return translate("in the kept sets that another program wrote");
    }
    return {};
}

QString reasonOf(const SetExplanation& set, std::size_t token)
{
    const bool kept = set.kept[token];
    if (set.guards[token] != Guard::None)
        return kept
            ? translate("It was not ranked: it is %1.").arg(guardText(set.guards[token]))
            : translate("It is %1, but the budget does not even hold all of these.").arg(guardText(set.guards[token]));
    if (set.ranks[token] == 0)
        return kept ? translate("The method ranks nothing here and kept it by its place.")
                    : translate("The method ranks nothing here and dropped it by its place.");
    const std::int64_t places = set.realisedTokens - set.guardedTokens;
    const QString rank
        = translate("It has rank %1 of %2 for %3 places")
              .arg(count(set.ranks[token]), count(set.rankedTokens), count(std::max<std::int64_t>(0, places)));
    const bool hasTwin = set.keptWithoutPooling.size() == set.kept.size();
    if (kept && hasTwin && !set.keptWithoutPooling[token])
        return translate("%1; without pooling it would be dropped: its neighbours carry it.").arg(rank);
    if (!kept && hasTwin && set.keptWithoutPooling[token])
        return translate("%1; without pooling it would be kept: neighbours of stronger tokens took its place.")
            .arg(rank);
    return rank + QLatin1Char('.');
}

} // namespace

QString TokenFate::text() const
{
    QStringList all{verdict};
    if (!reason.isEmpty())
        all << reason;
    for (const FateLine& line : lines)
        all << line.name + QStringLiteral(": ") + line.value;
    return all.join(QLatin1Char('\n'));
}

TokenFate tokenFate(const TokenQuestion& question)
{
    TokenFate fate;
    const auto token = static_cast<std::size_t>(question.token);
    const bool isKnown = question.set && question.token >= 0 && token < question.set->kept.size();
    const QString name = translate("token %1 \u201C%2\u201D").arg(question.token).arg(question.label);
    if (isKnown) {
        const SetExplanation& set = *question.set;
        fate.verdict = (set.kept[token] ? translate("%1 keeps %2 in %3") : translate("%1 drops %2 in %3"))
                           .arg(question.method, name, question.place);
        fate.reason = reasonOf(set, token);
        const bool isRanked = set.ranks[token] > 0;
        fate.lines.push_back({translate("Score"), isRanked ? number(set.scores[token]) : translate("not ranked"),
            translate("What the method ranked the token by: its own score, or that of its chunk or shot.")});
        if (isRanked)
            fate.lines.push_back(
                {translate("Rank"), translate("%1 of %2").arg(count(set.ranks[token]), count(set.rankedTokens)),
                    translate("1 + the number of tokens with a larger score; equal scores share a rank.")});
        fate.lines.push_back({translate("Threshold"),
            std::isnan(set.threshold) ? translate("nothing was kept by rank") : number(set.threshold),
            translate("The lowest score that was kept by rank.")});
        if (set.keptWithoutPooling.size() == set.kept.size())
            fate.lines.push_back({translate("Without pooling"),
                (set.keptWithoutPooling[token] ? translate("score %1, kept") : translate("score %1, dropped"))
                    .arg(std::isnan(set.scoresWithoutPooling[token]) ? translate("none")
                                                                     : number(set.scoresWithoutPooling[token])),
                translate("The same method with its scores left unpooled over neighbouring tokens.")});
        fate.lines.push_back({translate("Protection"),
            set.guards[token] == Guard::None ? translate("none") : guardText(set.guards[token]),
            translate("What takes tokens before anything is ranked.")});
        fate.lines.push_back({translate("Budget"),
            translate("%1 tokens asked for, %2 kept, %3 of them unranked")
                .arg(count(question.requestedTokens), count(set.realisedTokens), count(set.guardedTokens)),
            translate("Asked for: floor(keep share x prompt tokens); the method may round otherwise.")});
    } else {
        fate.verdict = question.token < 0 ? translate("Click a token to see why it was kept or dropped.") : name;
    }
    QStringList keeping;
    QStringList dropping;
    for (const auto& [title, keeps] : question.others) {
        if (keeps)
            (*keeps ? keeping : dropping) << title;
    }
    if (question.token >= 0 && !(keeping.isEmpty() && dropping.isEmpty())) {
        const QString meaning = translate("The other methods on show, in the head in view at the same budget.");
        const auto list = [](const QStringList& titles) {
            return titles.isEmpty() ? translate("none") : titles.join(QStringLiteral(", "));
        };
        fate.lines.push_back({translate("Kept by"), list(keeping), meaning});
        fate.lines.push_back({translate("Dropped by"), list(dropping), meaning});
    }
    return fate;
}

} // namespace kvloupe
