// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/figure/text_lines.h"

#include "views/figure/point_painter.h"

namespace kvloupe {

QString cutText(QString text, double width, double points)
{
    if (figureTextWidth(text, points) <= width)
        return text;
    while (text.size() > 1 && figureTextWidth(text + QChar(u'…'), points) > width)
        text.chop(1);
    return text + QChar(u'…');
}

QStringList wrappedText(const QString& text, double width, double points, int most)
{
    QStringList lines;
    QString line;
    for (const QString& word : text.split(QLatin1Char(' '), Qt::SkipEmptyParts)) {
        const QString longer = line.isEmpty() ? word : line + QLatin1Char(' ') + word;
        if (line.isEmpty() || lines.size() + 1 == most || figureTextWidth(longer, points) <= width) {
            line = longer;
            continue;
        }
        lines << line;
        line = word;
    }
    if (!line.isEmpty())
        lines << line;
    for (QString& cut : lines)
        cut = cutText(cut, width, points);
    return lines;
}

} // namespace kvloupe
