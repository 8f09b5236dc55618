// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <QObject>
#include <QString>
#include <QStringList>

class QProcess;

namespace kvloupe {

/// Asks a program one thing at a time: its standard output is the answer. A new question ends the one before, whose
/// answer never comes.
class ProgramQuery final : public QObject {
    Q_OBJECT

public:
    static constexpr qint64 longestAnswer = 1 << 20; ///< bytes; more is refused

    using QObject::QObject;
    ~ProgramQuery() override;

    void ask(const QString& program, const QStringList& arguments);
    void cancel();
    bool isBusy() const { return m_process != nullptr; }

signals:
    void answered(const QByteArray& output);
    /// The program's own error, or what happened to it; one line.
    void failed(const QString& problem);

private:
    void adopt(QProcess* process);

    QProcess* m_process = nullptr;
    QByteArray m_output;
    QByteArray m_errors;
};

} // namespace kvloupe
