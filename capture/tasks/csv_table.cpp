// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tasks/csv_table.h"

#include "capture/tasks/task.h"

#include <fmt/format.h>

namespace kvloupe {

namespace {

constexpr std::size_t mostFields = 1024;

} // namespace

std::vector<CsvRecord> parseCsv(std::string_view text, std::string_view name)
{
    std::vector<CsvRecord> records;
    std::int64_t line = 1;
    const auto fail = [&](std::int64_t where, std::string_view found, std::string_view expected) {
        throw TaskError(fmt::format("{} line {}: found {}, expected {}", name, where, found, expected));
    };
    std::size_t i = 0;
    const auto atEnd = [&] {
        return i >= text.size() || text[i] == '\n'
            || (text[i] == '\r' && (i + 1 == text.size() || text[i + 1] == '\n'));
    };
    while (i < text.size()) {
        CsvRecord record{line, {}};
        const bool isBlank = atEnd();
        for (bool more = true; more;) {
            std::string field;
            if (i < text.size() && text[i] == '"') {
                const std::int64_t opened = line;
                for (++i;; ++i) {
                    if (i >= text.size())
                        fail(opened, "a quote that is never closed", "a closing quote");
                    if (text[i] == '"') {
                        if (i + 1 >= text.size() || text[i + 1] != '"')
                            break;
                        ++i;
                    }
                    line += text[i] == '\n' ? 1 : 0;
                    field += text[i];
                }
                ++i;
                if (!atEnd() && text[i] != ',')
                    fail(line, "text behind a closing quote", "a comma or the end of the line");
            } else {
                while (!atEnd() && text[i] != ',') {
                    if (text[i] == '"')
                        fail(line, "a quote inside a field", "quotes around the whole field");
                    field += text[i++];
                }
            }
            record.fields.push_back(std::move(field));
            if (record.fields.size() > mostFields)
                fail(line, "more fields", fmt::format("at most {}", mostFields));
            more = i < text.size() && text[i] == ',';
            i += more ? 1 : 0;
        }
        if (i < text.size() && text[i] == '\r')
            ++i;
        if (i < text.size() && text[i] == '\n')
            ++i;
        ++line;
        if (!isBlank)
            records.push_back(std::move(record));
    }
    return records;
}

} // namespace kvloupe
