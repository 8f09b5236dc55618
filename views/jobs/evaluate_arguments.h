// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/jobs/run_arguments.h"

namespace kvloupe {

/// How the budgets of an evaluation are meant.
enum class BudgetOption { Keep, Capacity, CompressionRatio };

/// `kvloupe evaluate ...` as the window makes it; defaults are those of the command line.
struct EvaluateArguments : RunArguments {
    QStringList methods; ///< SPECs
    BudgetOption budgetOption = BudgetOption::Keep;
    QString budgets; ///< "0.5,0.3"
    QString decodeKeep;
    QString firstToken = QStringLiteral("auto");
    QString compressSpan = QStringLiteral("prompt");
    std::optional<qint64> maxNewTokens; ///< nothing = each item's own
    QString thinking = QStringLiteral("auto");
    QStringList measures{QStringLiteral("accuracy"), QStringLiteral("nll"), QStringLiteral("kl")};
    QString extraction = QStringLiteral("flexible");
    bool allowCodeExecution = false;
    QString batchMemory;

    bool operator==(const EvaluateArguments&) const = default;

    QStringList toArguments() const;
    /// Reads what toArguments() wrote. Throws ArgumentError.
    static EvaluateArguments fromArguments(const QStringList& words);
    FieldProblems problems() const;
};

} // namespace kvloupe
