// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/jobs/run_arguments.h"

namespace kvloupe {

/// Where the prompts of a recording come from; Suite: RunArguments::suite.
enum class PromptSource { Text, File, Lines, Ids, Suite };

/// `kvloupe capture ...` as the window makes it; defaults are those of the command line.
struct CaptureArguments : RunArguments {
    PromptSource source = PromptSource::Text;
    QString prompt; ///< the text, or the file of it; by `source`
    QString record; ///< full, qk, stats; empty = by size
    QStringList with; ///< row-order, output-norms
    QString layers;
    QString heads;
    QString decodeRows = QStringLiteral("all");
    QString compression = QStringLiteral("fast");
    QString spans = QStringLiteral("auto");
    QString shotSeparator;
    QString role;
    qint64 generate = 0;
    QString memory;

    bool operator==(const CaptureArguments&) const = default;

    /// The command and its options, one word each.
    QStringList toArguments() const;
    /// Reads what toArguments() wrote. Throws ArgumentError.
    static CaptureArguments fromArguments(const QStringList& words);
    /// What can be told without a model.
    FieldProblems problems() const;
    /// The folder of samples that are complete while it records.
    QString partsFolder() const { return out + QStringLiteral(".parts"); }
};

} // namespace kvloupe
