// SPDX-License-Identifier: GPL-3.0-or-later

#include "app/summary_text.h"

#include "app/text_table.h"
#include "core/results/summary_table.h"

#include <fmt/format.h>

namespace kvloupe {

std::string summaryText(const Summary& summary)
{
    if (summary.cells.empty())
        return "no complete samples\n";
    const SummaryTable table = summaryTable(summary);
    std::vector<std::string> headings;
    for (const SummaryTable::Column& column : table.columns)
        headings.push_back((column.number ? ">" : "") + column.heading);
    TextTable rows(headings);
    for (const auto& row : table.rows)
        rows.add(row);
    std::string text;
    for (const SummaryTable::Fact& fact : table.common)
        text += fmt::format("{}: {}\n", fact.name, fact.value);
    text += fmt::format("\n{}\n", rows.text());
    for (const std::string& note : table.notes)
        text += note + "\n";
    return text;
}

} // namespace kvloupe
