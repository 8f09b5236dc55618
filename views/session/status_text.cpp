// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/session/status_text.h"

#include <QCoreApplication>
#include <QStringList>

#include <cmath>

namespace kvloupe {

namespace {

QString translate(const char* text)
{
    return QCoreApplication::translate("StatusText", text);
}

} // namespace

QString statusText(const CellStatus& status, const TokenText& text)
{
    if (status.layer < 0)
        return {};
    QStringList parts;
    parts << translate("layer %1 head %2").arg(status.layer).arg(status.head);
    if (status.query >= 0)
        parts << translate("q %1 \"%2\"").arg(status.query).arg(text.label(status.query));
    if (status.key >= 0)
        parts << translate("k %1 \"%2\"").arg(status.key).arg(text.label(status.key));
    if (status.key > status.query && status.query >= 0)
        parts << translate("not visible to this query");
    else if (status.value && std::isfinite(*status.value))
        parts << QStringLiteral("%1 %2 %3")
                     .arg(status.isDifference ? translate("A \u2212 B") : translate("a"),
                         status.exact ? QStringLiteral("=") : QStringLiteral("\u2248"))
                     .arg(static_cast<double>(*status.value), 0, 'g', 4);
    if (status.facts.rank > 0)
        parts << translate("rank %1 of %2 in its row").arg(status.facts.rank).arg(status.facts.visible);
    if (!status.pooling.isEmpty() && status.facts.block) {
        const auto number = [](float value) { return QString::number(static_cast<double>(value), 'g', 4); };
        const BlockFacts& block = *status.facts.block;
        parts << translate("%1: max %2 at q %3 k %4, mean %5, min %6")
                     .arg(status.pooling, number(block.maximum))
                     .arg(block.maximumQuery)
                     .arg(block.maximumKey)
                     .arg(number(block.mean), number(block.minimum));
    } else if (!status.pooling.isEmpty()) {
        parts << status.pooling;
    }
    QStringList methods;
    for (const auto& [name, keeps] : status.methods)
        methods << (keeps ? translate("%1 keeps") : translate("%1 drops")).arg(name);
    if (!methods.isEmpty())
        parts << methods.join(QStringLiteral(", "));
    if (status.pinned)
        parts << translate("held");
    return parts.join(QStringLiteral(" | "));
}

} // namespace kvloupe
