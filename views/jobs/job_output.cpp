// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/jobs/job_output.h"

#include <QJsonDocument>
#include <QJsonObject>

#include <algorithm>
#include <cmath>
#include <utility>

namespace kvloupe {

namespace {

constexpr qsizetype longestStage = 120; ///< characters
constexpr QLatin1String errorPrefix("kvloupe: error: ");

} // namespace

std::optional<JobProgress> progressOfLine(QByteArrayView line)
{
    if (!line.startsWith('{'))
        return std::nullopt;
    const QJsonObject object = QJsonDocument::fromJson(line.toByteArray()).object();
    const QJsonValue done = object[QLatin1String("done")];
    const QJsonValue total = object[QLatin1String("total")];
    if (object[QLatin1String("event")].toString() != QLatin1String("progress") || !done.isDouble() || !total.isDouble()
        || !std::isfinite(done.toDouble()) || !std::isfinite(total.toDouble()) || total.toDouble() <= 0.0)
        return std::nullopt;
    JobProgress progress;
    progress.stage = messageOfLine(object[QLatin1String("stage")].toString().toUtf8()).left(longestStage);
    progress.total = total.toDouble();
    progress.done = std::clamp(done.toDouble(), 0.0, progress.total);
    return progress;
}

QString messageOfLine(QByteArrayView line)
{
    QString text = QString::fromUtf8(line);
    text.removeIf([](QChar character) { return character.category() == QChar::Other_Control && character != u'\t'; });
    return text.trimmed();
}

QList<QByteArray> LineReader::feed(QByteArrayView bytes)
{
    QList<QByteArray> lines;
    while (!bytes.isEmpty()) {
        const qsizetype end = bytes.indexOf('\n');
        const QByteArrayView part = end < 0 ? bytes : bytes.first(end);
        m_line.append(part.first(std::min(part.size(), longestLine - m_line.size())));
        if (end < 0)
            break;
        lines += finish();
        bytes = bytes.sliced(end + 1);
    }
    return lines;
}

QList<QByteArray> LineReader::finish()
{
    QByteArray line = std::exchange(m_line, {});
    return line.trimmed().isEmpty() ? QList<QByteArray>() : QList<QByteArray>{std::move(line)};
}

void MessageLog::add(const QString& message)
{
    if (message.startsWith(errorPrefix))
        m_lastError = message.mid(errorPrefix.size());
    m_messages << message;
    if (m_messages.size() > most) {
        m_messages.removeFirst();
        ++m_dropped;
    }
}

} // namespace kvloupe
