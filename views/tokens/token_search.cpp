// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/tokens/token_search.h"

#include <QCoreApplication>
#include <QRegularExpression>

#include <algorithm>

namespace kvloupe {

TokenMatches findInText(const TokenText& text, const QString& pattern, FindMode mode)
{
    TokenMatches found;
    if (pattern.isEmpty())
        return found;
    // PCRE2's own way to say how long it may try.
    const QString limit = QStringLiteral("(*LIMIT_MATCH=200000)");
    const QRegularExpression expression(
        limit + (mode == FindMode::Text ? QRegularExpression::escape(pattern) : pattern),
        QRegularExpression::CaseInsensitiveOption | QRegularExpression::MultilineOption
            | QRegularExpression::UseUnicodePropertiesOption);
    if (!expression.isValid()) {
        found.problem = QCoreApplication::translate("TokenSearch", "%1 at character %2")
                            .arg(expression.errorString())
                            .arg(std::max<qsizetype>(0, expression.patternErrorOffset() - limit.size()) + 1);
        return found;
    }
    QString whole;
    std::vector<qsizetype> starts;
    for (const TokenGroup& group : text.groups()) {
        starts.push_back(whole.size());
        whole += group.special ? QString(QChar::ObjectReplacementCharacter) : group.text;
    }
    const auto groupAt = [&](qsizetype character) {
        return static_cast<int>(std::ranges::upper_bound(starts, character) - starts.begin()) - 1;
    };
    auto matches = expression.globalMatch(whole);
    while (matches.hasNext()) {
        const QRegularExpressionMatch match = matches.next();
        if (match.capturedLength() > 0)
            found.ranges.push_back({groupAt(match.capturedStart()), groupAt(match.capturedEnd() - 1) + 1});
    }
    if (!matches.isValid())
        found.problem = QCoreApplication::translate("TokenSearch", "too hard to look for here");
    return found;
}

} // namespace kvloupe
