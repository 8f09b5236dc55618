// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/jobs/argument_option.h"

#include <filesystem>

namespace kvloupe {

/// What is wrong with one field of a dialog.
struct FieldProblem {
    QString field; ///< its option without the dashes, "model" and "prompt" among them
    QString message; ///< one line

    bool operator==(const FieldProblem&) const = default;
};
using FieldProblems = QList<FieldProblem>;

/// Which prompts of a suite, as `--suite` and its options say; defaults as there.
struct SuiteArguments {
    QString name;
    QStringList tasks; ///< empty = all
    qint64 samples = 20;
    std::optional<int> shots;
    quint64 seed = 0;
    int level = 0; ///< 0 = the task's own
    QString data;
    QString shotData;
    QString promptData;
    std::optional<double> depth;
    qint64 contextWords = 0;
    int questions = 0;

    bool operator==(const SuiteArguments&) const = default;
};

/// What is done if the file is there already.
enum class ExistingFile { Refuse, Resume, Overwrite };

/// What capture and evaluate have in common.
struct RunArguments {
    QString model;
    SuiteArguments suite;
    bool chat = false;
    QString adapter;
    int threads = 0; ///< 0 = all cores
    ExistingFile existing = ExistingFile::Refuse;
    QString out;

    bool operator==(const RunArguments&) const = default;
};

/// The options of RunArguments.
template <class Arguments> void addRunOptions(std::vector<ArgumentOption<Arguments>>& options)
{
    const auto suiteText = [&options](const char* name, auto member) {
        options.push_back(textOption<Arguments>(
            QLatin1String(name), [member](auto& all) -> auto& { return all.suite.*member; }));
    };
    const auto suiteNumber = [&options](const char* name, auto member) {
        options.push_back(numberOption<Arguments>(
            QLatin1String(name), [member](auto& all) -> auto& { return all.suite.*member; }));
    };
    suiteText("--suite", &SuiteArguments::name);
    options.push_back(listOption<Arguments>(
        QStringLiteral("--task"), [](auto& all) -> auto& { return all.suite.tasks; }));
    suiteNumber("--samples", &SuiteArguments::samples);
    suiteNumber("--shots", &SuiteArguments::shots);
    suiteNumber("--seed", &SuiteArguments::seed);
    suiteNumber("--level", &SuiteArguments::level);
    suiteText("--data", &SuiteArguments::data);
    suiteText("--shot-data", &SuiteArguments::shotData);
    suiteText("--prompt-data", &SuiteArguments::promptData);
    suiteNumber("--depth", &SuiteArguments::depth);
    suiteNumber("--context-words", &SuiteArguments::contextWords);
    suiteNumber("--questions", &SuiteArguments::questions);
    options.push_back(flagOption<Arguments>(
        QStringLiteral("--chat"), [](auto& all) -> auto& { return all.chat; }));
    options.push_back(textOption<Arguments>(
        QStringLiteral("--adapter"), [](auto& all) -> auto& { return all.adapter; }));
    options.push_back(numberOption<Arguments>(
        QStringLiteral("--threads"), [](auto& all) -> auto& { return all.threads; }));
    const auto existing = [&options](const char* name, ExistingFile wanted) {
        options.push_back({QLatin1String(name), false,
            [wanted](const Arguments& all) { return all.existing == wanted ? QStringList{QString()} : QStringList(); },
            [wanted](Arguments& all, const QString&) {
                all.existing = wanted;
                return true;
            }});
    };
    existing("--resume", ExistingFile::Resume);
    existing("--overwrite", ExistingFile::Overwrite);
    options.push_back(textOption<Arguments>(
        QStringLiteral("--out"), [](auto& all) -> auto& { return all.out; }));
}

/// Checks that need no model, each adding what is wrong.
void checkModel(FieldProblems& problems, const QString& model);
void checkSuite(FieldProblems& problems, const SuiteArguments& suite);
void checkFile(FieldProblems& problems, const QString& field, const QString& path); ///< to be read; empty = not given
void checkByteCount(FieldProblems& problems, const QString& field, const QString& text);
/// `part`: also in the way of a new file; empty = none.
void checkOut(FieldProblems& problems, const QString& out, const QString& part, ExistingFile existing);

} // namespace kvloupe
