// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/jobs/recording_proposal.h"

#include "views/results/results_view.h"

#include <QDir>
#include <QFileInfo>
#include <QRegularExpression>

#include <charconv>

namespace kvloupe {

namespace {

constexpr int generatedTokens = 64; ///< enough for the timeline to show what is missed
constexpr qsizetype longestName = 60;

/// Items that have to be made for this one to be among them: generated ids end in their number, as "ar:0:17".
std::int64_t itemsUpTo(const std::string& id)
{
    const std::size_t colon = id.rfind(':');
    std::int64_t number = 0;
    if (colon == std::string::npos)
        return 1;
    const auto [end, error] = std::from_chars(id.data() + colon + 1, id.data() + id.size(), number);
    return error == std::errc() && end == id.data() + id.size() && number >= 0 && number < 1'000'000 ? number + 1 : 1;
}

} // namespace

CaptureArguments proposedRecording(const ChosenSample& sample, const QString& out)
{
    CaptureArguments arguments;
    arguments.model = QString::fromStdString(sample.model.name);
    arguments.source = PromptSource::Suite;
    arguments.suite.name = QString::fromStdString(sample.suite);
    arguments.suite.tasks = {QString::fromStdString(sample.key.task)};
    arguments.suite.shots = static_cast<int>(sample.key.shots);
    arguments.suite.level = static_cast<int>(sample.key.level);
    arguments.suite.seed = sample.key.seed;
    arguments.suite.samples = itemsUpTo(sample.key.sample);
    arguments.chat = sample.prompt.chat;
    arguments.generate = generatedTokens;
    arguments.out = out;
    return arguments;
}

FieldProblems checkProposal(const CaptureArguments& arguments)
{
    FieldProblems problems = arguments.problems();
    static const QRegularExpression plainName(QStringLiteral("\\A[A-Za-z0-9][A-Za-z0-9._-]{0,99}\\z"));
    if (!plainName.match(arguments.model).hasMatch())
        problems.push_back({QStringLiteral("model"),
            ArgumentText::tr("The results name the model \"%1\", expected a plain name; choose the model by hand")
                .arg(arguments.model.left(longestName))});
    if (!plainName.match(arguments.suite.name).hasMatch())
        problems.push_back({QStringLiteral("suite"),
            ArgumentText::tr("The results name the suite \"%1\", expected a plain name")
                .arg(arguments.suite.name.left(longestName))});
    return problems;
}

QString proposedFileName(const ChosenSample& sample)
{
    QString name = QString::fromStdString(sample.key.task);
    name.removeIf(
        [](QChar letter) { return letter.unicode() > 127 || !(letter.isLetterOrNumber() || letter == u'_'); });
    return (name.isEmpty() ? QStringLiteral("sample") : name.left(longestName)) + QStringLiteral(".h5");
}

QString unusedFile(const QString& folder, const QString& name)
{
    const QFileInfo wanted(QDir(folder).filePath(name));
    const auto isUsed = [](const QString& path) {
        return QFileInfo::exists(path) || QFileInfo::exists(path + QStringLiteral(".parts"));
    };
    QString path = wanted.filePath();
    for (int number = 2; isUsed(path); ++number)
        path = QDir(folder).filePath(
            QStringLiteral("%1-%2.%3").arg(wanted.completeBaseName()).arg(number).arg(wanted.suffix()));
    return path;
}

} // namespace kvloupe
