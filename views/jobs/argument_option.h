// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/error.h"

#include <QCoreApplication>
#include <QString>
#include <QStringList>

#include <algorithm>
#include <functional>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

namespace kvloupe {

/// What is said of arguments.
struct ArgumentText {
    Q_DECLARE_TR_FUNCTIONS(ArgumentText)
};

/// What is wrong with a command line that was to be read back.
class ArgumentError : public Error {
public:
    using Error::Error;
};

/// One option of a command: how it is written from `Arguments`, and read back. A table of these is all that is known of
/// a command's options.
template <class Arguments> struct ArgumentOption {
    QString name; ///< "--out"
    bool takesValue = true;
    /// A value for each time the option is given; an empty one for a flag.
    std::function<QStringList(const Arguments&)> values;
    /// False: that is no such value.
    std::function<bool(Arguments&, const QString&)> read;
};

/// `access(arguments)` is the member, const or not. Nothing is written while it is `standard`.
template <class Arguments, class Access>
ArgumentOption<Arguments> textOption(const QString& name, Access access, const QString& standard = {})
{
    return {name, true,
        [access, standard](const Arguments& arguments) {
            const QString& value = access(arguments);
            return value == standard ? QStringList() : QStringList{value};
        },
        [access](Arguments& arguments, const QString& value) {
            access(arguments) = value;
            return true;
        }};
}

template <class Arguments, class Access>
ArgumentOption<Arguments> listOption(const QString& name, Access access, const QStringList& standard = {})
{
    return {name, true,
        [access, standard](const Arguments& arguments) {
            const QStringList& value = access(arguments);
            return value == standard ? QStringList() : QStringList{value.join(u',')};
        },
        [access](Arguments& arguments, const QString& value) {
            access(arguments) = value.split(u',', Qt::SkipEmptyParts);
            return true;
        }};
}

template <class Arguments, class Access> ArgumentOption<Arguments> flagOption(const QString& name, Access access)
{
    return {name, false,
        [access](const Arguments& arguments) { return access(arguments) ? QStringList{QString()} : QStringList(); },
        [access](Arguments& arguments, const QString&) {
            access(arguments) = true;
            return true;
        }};
}

/// Of any type of number, or a std::optional of one.
template <class Arguments, class Access> ArgumentOption<Arguments> numberOption(const QString& name, Access access)
{
    using Member = std::remove_cvref_t<decltype(access(std::declval<Arguments&>()))>;
    return {name, true,
        [access](const Arguments& arguments) {
            const Member& value = access(arguments);
            const Arguments standard;
            if (value == access(standard))
                return QStringList();
            if constexpr (std::is_arithmetic_v<Member>)
                return QStringList{QString::number(value)};
            else
                return QStringList{QString::number(*value)};
        },
        [access](Arguments& arguments, const QString& text) {
            bool isNumber = false;
            if constexpr (std::is_same_v<Member, std::optional<double>>)
                access(arguments) = text.toDouble(&isNumber);
            else if constexpr (std::is_same_v<Member, quint64>)
                access(arguments) = text.toULongLong(&isNumber);
            else if constexpr (std::is_same_v<Member, qint64> || std::is_same_v<Member, std::optional<qint64>>)
                access(arguments) = text.toLongLong(&isNumber);
            else
                access(arguments) = text.toInt(&isNumber);
            return isNumber;
        }};
}

/// `command`, the model and the options, one word each. A value that begins with - is written as --name=value, so that
/// none can be taken for an option.
template <class Arguments>
QStringList writeArguments(
    const QString& command, const std::vector<ArgumentOption<Arguments>>& options, const Arguments& arguments)
{
    // The model first: options that take several words would take it too.
    QStringList words{command, arguments.model};
    for (const ArgumentOption<Arguments>& option : options)
        for (const QString& value : option.values(arguments)) {
            if (!option.takesValue)
                words << option.name;
            else if (value.startsWith(u'-') || value.isEmpty())
                words << option.name + u'=' + value;
            else
                words << option.name << value;
        }
    return words;
}

/// Reads what writeArguments wrote. Throws ArgumentError naming the word that does not fit.
template <class Arguments>
Arguments readArguments(
    const QString& command, const std::vector<ArgumentOption<Arguments>>& options, const QStringList& words)
{
    const auto fail = [](const QString& message) { throw ArgumentError(message.toStdString()); };
    if (words.isEmpty() || words.front() != command)
        fail(ArgumentText::tr("found %1, expected the command %2")
                 .arg(words.value(0, QStringLiteral("nothing")), command));
    Arguments arguments;
    bool hasModel = false;
    for (qsizetype at = 1; at < words.size(); ++at) {
        const QString& word = words[at];
        if (!word.startsWith(u'-')) {
            if (hasModel)
                fail(ArgumentText::tr("found a second model \"%1\", expected one").arg(word));
            arguments.model = word;
            hasModel = true;
            continue;
        }
        const qsizetype equals = word.indexOf(u'=');
        const QString name = word.left(equals < 0 ? word.size() : equals);
        const auto option = std::ranges::find(options, name, &ArgumentOption<Arguments>::name);
        if (option == options.end() || (!option->takesValue && equals >= 0))
            fail(ArgumentText::tr("found \"%1\", expected an option of %2").arg(word, command));
        QString value;
        if (option->takesValue) {
            if (equals < 0 && (at + 1 == words.size() || words[at + 1].startsWith(u'-')))
                fail(ArgumentText::tr("%1: found nothing, expected a value").arg(name));
            value = equals < 0 ? words[++at] : word.mid(equals + 1);
        }
        if (!option->read(arguments, value))
            fail(ArgumentText::tr("%1: found \"%2\", expected another kind of value").arg(name, value));
    }
    return arguments;
}

} // namespace kvloupe
