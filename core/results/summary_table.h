// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/results/summary.h"

#include <string>
#include <vector>

namespace kvloupe {

/// A summary as people read it: what all rows have in common as lines above, the rest as columns.
struct SummaryTable {
    struct Column {
        std::string heading;
        bool number = false; ///< aligned to the right
    };
    struct Fact {
        std::string name;
        std::string value;
    };

    std::vector<Fact> common; ///< model, suite, settings: every one of them is either here or a column
    std::vector<Column> columns;
    std::vector<std::vector<std::string>> rows;
    std::vector<std::string> notes; ///< what the columns mean
};

SummaryTable summaryTable(const Summary& summary);

/// A LaTeX table (package booktabs) with the common facts and the notes as its caption.
std::string summaryLatex(const SummaryTable& table);

/// One line per cell under a header, all columns always there, units in their names; empty = not measured.
std::string summaryCsv(const Summary& summary);

/// The same as a JSON array of objects; null = not measured.
std::string summaryJson(const Summary& summary);

/// Text in which LaTeX finds nothing to interpret.
std::string latexText(std::string_view text);

} // namespace kvloupe
