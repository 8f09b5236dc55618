// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/figure/figure_table.h"

namespace kvloupe {

QByteArray csvOf(const FigureTable& table)
{
    QByteArray text;
    const auto append = [&text](std::span<const std::string> fields) {
        for (std::size_t index = 0; index < fields.size(); ++index) {
            if (index > 0)
                text.append(',');
            text.append(fields[index].data(), static_cast<qsizetype>(fields[index].size()));
        }
        text.append('\n');
    };
    append(table.columns);
    table.rows(append);
    return text;
}

std::string csvQuoted(std::string text)
{
    for (std::size_t at = text.find('"'); at != std::string::npos; at = text.find('"', at + 2))
        text.insert(at, 1, '"');
    return '"' + text + '"';
}

} // namespace kvloupe
