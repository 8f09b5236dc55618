// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/jobs/run_arguments.h"

#include <QFileInfo>
#include <QRegularExpression>

namespace kvloupe {

void checkModel(FieldProblems& problems, const QString& model)
{
    const QString field = QStringLiteral("model");
    if (model.isEmpty())
        problems.push_back(
            {field, ArgumentText::tr("Choose a model: a known name, a GGUF file, or a folder in Hugging Face layout")});
    else if (model.startsWith(u'-'))
        problems.push_back({field, ArgumentText::tr("Begins with -, which reads as an option; write ./ before it")});
    else if (model.contains(u'/') && !QFileInfo::exists(model))
        problems.push_back({field, ArgumentText::tr("There is no such file or folder")});
}

void checkSuite(FieldProblems& problems, const SuiteArguments& suite)
{
    if (suite.name.isEmpty())
        problems.push_back({QStringLiteral("suite"), ArgumentText::tr("Choose a suite")});
    static const QRegularExpression plainName(QStringLiteral("\\A[a-z0-9][a-z0-9_-]*\\z"));
    for (const QString& task : suite.tasks)
        if (!plainName.match(task).hasMatch())
            problems.push_back(
                {QStringLiteral("task"), ArgumentText::tr("Found \"%1\", expected names such as ar,niah").arg(task)});
    checkFile(problems, QStringLiteral("data"), suite.data);
    checkFile(problems, QStringLiteral("shot-data"), suite.shotData);
    checkFile(problems, QStringLiteral("prompt-data"), suite.promptData);
}

void checkFile(FieldProblems& problems, const QString& field, const QString& path)
{
    if (path.isEmpty())
        return;
    const QFileInfo file(path);
    if (!file.exists())
        problems.push_back({field, ArgumentText::tr("There is no such file")});
    else if (!file.isReadable())
        problems.push_back({field, ArgumentText::tr("This file may not be read")});
}

void checkByteCount(FieldProblems& problems, const QString& field, const QString& text)
{
    static const QRegularExpression bytes(QStringLiteral("\\A[1-9][0-9]{0,14}[KkMmGg]?\\z"));
    if (!text.isEmpty() && !bytes.match(text).hasMatch())
        problems.push_back({field, ArgumentText::tr("Found \"%1\", expected bytes such as 900M or 4G").arg(text)});
}

void checkOut(FieldProblems& problems, const QString& out, const QString& part, ExistingFile existing)
{
    const QString field = QStringLiteral("out");
    if (out.isEmpty()) {
        problems.push_back({field, ArgumentText::tr("Choose the file to write")});
        return;
    }
    const QFileInfo file(out);
    const QFileInfo folder(file.absolutePath());
    if (file.isDir())
        problems.push_back({field, ArgumentText::tr("This is a folder, expected a file")});
    else if (!folder.isDir())
        problems.push_back({field, ArgumentText::tr("There is no folder %1").arg(folder.filePath())});
    else if (!folder.isWritable())
        problems.push_back({field, ArgumentText::tr("Nothing may be written into %1").arg(folder.filePath())});
    else if (existing == ExistingFile::Refuse && file.exists())
        problems.push_back(
            {field, ArgumentText::tr("This file exists: resume it, overwrite it, or take another name")});
    else if (existing == ExistingFile::Refuse && !part.isEmpty() && QFileInfo::exists(part))
        problems.push_back({field,
            ArgumentText::tr("An unfinished run lies in %1: resume it, overwrite it, or take another name")
                .arg(QFileInfo(part).fileName())});
}

} // namespace kvloupe
