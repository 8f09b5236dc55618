// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/jobs/evaluate_arguments.h"

#include "core/methods/budget.h"
#include "core/methods/method_registry.h"

#include <string_view>

namespace kvloupe {

namespace {

using Option = ArgumentOption<EvaluateArguments>;

Option text(const char* name, QString EvaluateArguments::*member)
{
    const EvaluateArguments standard;
    return textOption<EvaluateArguments>(
        QLatin1String(name), [member](auto& all) -> auto& { return all.*member; }, standard.*member);
}

Option budgetOption(const char* name, BudgetOption kind)
{
    return {QLatin1String(name), true,
        [kind](const EvaluateArguments& all) {
            return all.budgetOption == kind ? QStringList{all.budgets} : QStringList();
        },
        [kind](EvaluateArguments& all, const QString& value) {
            all.budgetOption = kind;
            all.budgets = value;
            return true;
        }};
}

const std::vector<Option>& options()
{
    static const std::vector<Option> table = [] {
        const Option methods{QStringLiteral("--method"), true, [](const EvaluateArguments& all) { return all.methods; },
            [](EvaluateArguments& all, const QString& value) {
                all.methods << value;
                return true;
            }};
        std::vector<Option> all{methods, budgetOption("--keep", BudgetOption::Keep),
            budgetOption("--capacity", BudgetOption::Capacity),
            budgetOption("--compression-ratio", BudgetOption::CompressionRatio),
            text("--decode-keep", &EvaluateArguments::decodeKeep),
            text("--first-token", &EvaluateArguments::firstToken),
            text("--compress-span", &EvaluateArguments::compressSpan),
            numberOption<EvaluateArguments>(
                QStringLiteral("--max-new-tokens"), [](auto& of) -> auto& { return of.maxNewTokens; }),
            text("--thinking", &EvaluateArguments::thinking),
            listOption<EvaluateArguments>(
                QStringLiteral("--measure"), [](auto& of) -> auto& { return of.measures; },
                EvaluateArguments().measures),
            text("--extraction", &EvaluateArguments::extraction),
            flagOption<EvaluateArguments>(
                QStringLiteral("--allow-code-execution"), [](auto& of) -> auto& { return of.allowCodeExecution; }),
            text("--batch-memory", &EvaluateArguments::batchMemory)};
        addRunOptions(all);
        return all;
    }();
    return table;
}

/// What `parse` throws, as the problem of a field.
template <class Parse> void checkBy(FieldProblems& problems, const char* field, Parse parse)
{
    try {
        parse();
    } catch (const Error& error) {
        problems.push_back({QLatin1String(field), QString::fromUtf8(error.what())});
    }
}

} // namespace

QStringList EvaluateArguments::toArguments() const
{
    return writeArguments(QStringLiteral("evaluate"), options(), *this);
}

EvaluateArguments EvaluateArguments::fromArguments(const QStringList& words)
{
    return readArguments(QStringLiteral("evaluate"), options(), words);
}

FieldProblems EvaluateArguments::problems() const
{
    FieldProblems result;
    checkModel(result, model);
    checkSuite(result, suite);
    if (methods.isEmpty())
        result.push_back({QStringLiteral("method"), ArgumentText::tr("Choose at least one method")});
    for (const QString& method : methods)
        checkBy(result, "method", [&] { parseMethod(method.toStdString()); });
    const QStringList values = budgets.split(u',');
    for (const QString& value : values) {
        const std::string budget = value.toStdString();
        checkBy(result, "budget", [&] {
            switch (budgetOption) {
            case BudgetOption::Keep:
                Budget::keep(std::string_view(budget));
                break;
            case BudgetOption::Capacity:
                Budget::capacity(std::string_view(budget));
                break;
            case BudgetOption::CompressionRatio:
                Budget::compressionRatio(budget);
                break;
            }
        });
    }
    if (!decodeKeep.isEmpty())
        checkBy(result, "decode-keep", [&] { Budget::keep(std::string_view(decodeKeep.toStdString())); });
    if (measures.isEmpty())
        result.push_back({QStringLiteral("measure"), ArgumentText::tr("Choose at least one measure")});
    checkByteCount(result, QStringLiteral("batch-memory"), batchMemory);
    checkOut(result, out, {}, existing);
    return result;
}

} // namespace kvloupe
