// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <QByteArray>
#include <QByteArrayView>
#include <QString>
#include <QStringList>

#include <optional>

namespace kvloupe {

/// How far a stage of a program has come, from a line of `--progress json`.
struct JobProgress {
    QString stage;
    double done = 0.0; ///< of `total`, never more
    double total = 1.0; ///< above 0

    double fraction() const { return done / total; }
    bool operator==(const JobProgress&) const = default;
};

/// A line of `--progress json`; nothing for any other line, whatever it holds.
std::optional<JobProgress> progressOfLine(QByteArrayView line);

/// Text that a person can read: control characters are left out, bytes that are not UTF-8 are replaced.
QString messageOfLine(QByteArrayView line);

/// Makes lines of what a program writes, however it is cut into pieces. A line longer than `longestLine` bytes is cut;
/// empty lines are left out.
class LineReader {
public:
    static constexpr qsizetype longestLine = 16 * 1024;

    /// Lines that are complete now.
    QList<QByteArray> feed(QByteArrayView bytes);
    /// What stands after the last line break.
    QList<QByteArray> finish();

private:
    QByteArray m_line;
};

/// What a program said last, oldest first.
class MessageLog {
public:
    static constexpr qsizetype most = 500;

    void add(const QString& message);
    const QStringList& messages() const { return m_messages; }
    qsizetype dropped() const { return m_dropped; } ///< older ones that are not there any more
    /// The last line of error, without the program's name before it; empty without one.
    QString lastError() const { return m_lastError; }

private:
    QStringList m_messages;
    QString m_lastError;
    qsizetype m_dropped = 0;
};

} // namespace kvloupe
