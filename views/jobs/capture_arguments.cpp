// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/jobs/capture_arguments.h"

#include <QRegularExpression>

#include <array>

namespace kvloupe {

namespace {

using Option = ArgumentOption<CaptureArguments>;

constexpr qsizetype longestPrompt = 100'000; ///< bytes; the system takes no argument much longer

Option sourceOption(const char* name, PromptSource source)
{
    return {QLatin1String(name), true,
        [source](
            const CaptureArguments& all) { return all.source == source ? QStringList{all.prompt} : QStringList(); },
        [source](CaptureArguments& all, const QString& value) {
            all.source = source;
            all.prompt = value;
            return true;
        }};
}

template <class Member> Option text(const char* name, Member CaptureArguments::*member)
{
    const CaptureArguments standard;
    return textOption<CaptureArguments>(
        QLatin1String(name), [member](auto& all) -> auto& { return all.*member; }, standard.*member);
}

const std::vector<Option>& options()
{
    static const std::vector<Option> table = [] {
        std::vector<Option> all{sourceOption("--prompt", PromptSource::Text),
            sourceOption("--prompt-file", PromptSource::File), sourceOption("--prompts", PromptSource::Lines),
            sourceOption("--ids", PromptSource::Ids), text("--record", &CaptureArguments::record),
            listOption<CaptureArguments>(
                QStringLiteral("--with"), [](auto& of) -> auto& { return of.with; }),
            text("--layers", &CaptureArguments::layers), text("--heads", &CaptureArguments::heads),
            text("--decode-rows", &CaptureArguments::decodeRows), text("--compression", &CaptureArguments::compression),
            numberOption<CaptureArguments>(
                QStringLiteral("--generate"), [](auto& of) -> auto& { return of.generate; }),
            text("--spans", &CaptureArguments::spans), text("--shot-separator", &CaptureArguments::shotSeparator),
            text("--role", &CaptureArguments::role), text("--memory", &CaptureArguments::memory)};
        addRunOptions(all);
        return all;
    }();
    return table;
}

void checkPattern(
    FieldProblems& problems, const char* field, const QString& value, const char* pattern, const QString& expected)
{
    if (!value.isEmpty() && !QRegularExpression(QLatin1String(pattern)).match(value).hasMatch())
        problems.push_back({QLatin1String(field), ArgumentText::tr("Found \"%1\", expected %2").arg(value, expected)});
}

} // namespace

QStringList CaptureArguments::toArguments() const
{
    CaptureArguments written = *this;
    if (source != PromptSource::Suite)
        written.suite = {};
    return writeArguments(QStringLiteral("capture"), options(), written);
}

CaptureArguments CaptureArguments::fromArguments(const QStringList& words)
{
    CaptureArguments arguments = readArguments(QStringLiteral("capture"), options(), words);
    if (!arguments.suite.name.isEmpty()) {
        if (!arguments.prompt.isEmpty())
            throw ArgumentError("found a prompt and a suite, expected one of them");
        arguments.source = PromptSource::Suite;
    }
    return arguments;
}

FieldProblems CaptureArguments::problems() const
{
    FieldProblems result;
    const QString promptField = QStringLiteral("prompt");
    checkModel(result, model);
    if (source == PromptSource::Suite) {
        checkSuite(result, suite);
    } else if (source == PromptSource::Text) {
        if (prompt.isEmpty())
            result.push_back({promptField, ArgumentText::tr("Type the prompt")});
        else if (prompt.toUtf8().size() > longestPrompt)
            result.push_back(
                {promptField, ArgumentText::tr("Too long for a command line; save it in a file and choose that")});
        else if (prompt.contains(QChar(0)))
            result.push_back({promptField, ArgumentText::tr("Holds a character 0, which no command line can carry")});
    } else if (prompt.isEmpty()) {
        result.push_back({promptField, ArgumentText::tr("Choose the file")});
    } else {
        checkFile(result, promptField, prompt);
    }
    checkPattern(result, "layers", layers, "\\A[0-9]{1,5}(-[0-9]{1,5})?(,[0-9]{1,5}(-[0-9]{1,5})?)*\\z",
        ArgumentText::tr("layers such as 0-5,8"));
    checkPattern(result, "heads", heads, "\\A[0-9]{1,5}:[0-9]{1,5}(,[0-9]{1,5}:[0-9]{1,5})*\\z",
        ArgumentText::tr("LAYER:HEAD such as 5:3,20:7"));
    if (spans != QLatin1String("auto") && spans != QLatin1String("none"))
        checkFile(result, QStringLiteral("spans"), spans);
    checkByteCount(result, QStringLiteral("memory"), memory);
    checkOut(result, out, partsFolder(), existing);
    return result;
}

} // namespace kvloupe
