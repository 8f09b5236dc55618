// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/jobs/kvloupe_program.h"

#include <QCoreApplication>
#include <QFileInfo>
#include <QStandardPaths>

namespace kvloupe {

namespace {

struct ProgramText {
    Q_DECLARE_TR_FUNCTIONS(ProgramText)
};

QString besideOrInPath(const QString& name, const QString& folder)
{
    const QString beside = QStandardPaths::findExecutable(name, {folder});
    return beside.isEmpty() ? QStandardPaths::findExecutable(name) : beside;
}

} // namespace

KvloupeProgram findKvloupeProgram()
{
    return findKvloupeProgram(QCoreApplication::applicationDirPath());
}

KvloupeProgram findKvloupeProgram(const QString& folder)
{
    KvloupeProgram program;
    program.path = besideOrInPath(QStringLiteral("kvloupe"), folder);
    if (program.path.isEmpty())
        program.missing = ProgramText::tr(
            "The program kvloupe was found neither beside this one nor in PATH. Install the package kvloupe.");
    else if (besideOrInPath(QStringLiteral("kvloupe-run"), QFileInfo(program.path).canonicalPath()).isEmpty())
        program.missing = ProgramText::tr(
            "The program kvloupe-run, which runs models, was found neither beside kvloupe nor in PATH. Install the "
            "package kvloupe-run, or build with -DKVLOUPE_CAPTURE=ON.");
    return program;
}

} // namespace kvloupe
