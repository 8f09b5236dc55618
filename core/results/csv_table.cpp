// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/results/csv_table.h"

#include "core/results/results_error.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>

namespace kvloupe {

namespace {

constexpr std::uintmax_t largestFile = std::uintmax_t{16} << 20;

class CsvParser {
public:
    CsvParser(std::string_view text, const std::string& name)
        : m_text(text)
        , m_name(name)
    {
    }

    bool atEnd() const { return m_at == m_text.size(); }
    int line() const { return m_line; }

    std::vector<std::string> record()
    {
        std::vector<std::string> fields;
        do {
            fields.push_back(field());
        } while (take(','));
        take('\r');
        if (!atEnd() && !take('\n'))
            wrong("text behind a closing quote", "a comma or the end of the line");
        ++m_line;
        return fields;
    }

    [[noreturn]] void wrong(std::string_view found, std::string_view expected) const
    {
        throw ResultsError(fmt::format("{}, line {}: found {}, expected {}", m_name, m_line, found, expected));
    }

private:
    bool take(char c)
    {
        if (atEnd() || m_text[m_at] != c)
            return false;
        ++m_at;
        return true;
    }

    std::string field()
    {
        if (take('"'))
            return quoted();
        const std::size_t end = std::min(m_text.find_first_of(",\r\n", m_at), m_text.size());
        std::string result(m_text.substr(m_at, end - m_at));
        if (result.find('"') != std::string::npos)
            wrong("a quote inside a field without quotes", "quotes around the field");
        m_at = end;
        return result;
    }

    std::string quoted()
    {
        std::string result;
        const int begin = m_line;
        for (;;) {
            if (atEnd()) {
                m_line = begin;
                wrong("a quote that never ends", "a closing quote");
            }
            const char c = m_text[m_at++];
            if (c == '"' && !take('"'))
                return result;
            m_line += c == '\n' ? 1 : 0;
            result += c;
        }
    }

    std::string_view m_text;
    const std::string& m_name;
    std::size_t m_at = 0;
    int m_line = 1;
};

} // namespace

std::size_t CsvTable::column(std::string_view wanted) const
{
    const auto found = std::ranges::find(columns, wanted);
    if (found == columns.end())
        throw ResultsError(
            fmt::format("{}, line 1: found the columns {}, expected {}", name, fmt::join(columns, ", "), wanted));
    return static_cast<std::size_t>(found - columns.begin());
}

CsvTable parseCsv(std::string_view text, const std::string& name)
{
    CsvParser parser(text, name);
    CsvTable table;
    table.name = name;
    if (parser.atEnd())
        parser.wrong("an empty file", "a line that names the columns");
    table.columns = parser.record();
    while (!parser.atEnd()) {
        CsvTable::Row row;
        row.line = parser.line();
        row.fields = parser.record();
        if (row.fields.size() != table.columns.size())
            throw ResultsError(fmt::format(
                "{}, line {}: found {} fields, expected {}", name, row.line, row.fields.size(), table.columns.size()));
        table.rows.push_back(std::move(row));
    }
    return table;
}

CsvTable readCsv(const std::filesystem::path& path)
{
    std::error_code error;
    const std::uintmax_t size = std::filesystem::file_size(path, error);
    if (error)
        throw ResultsError(fmt::format("{}: cannot be read: {}", path.string(), error.message()));
    if (size > largestFile)
        throw ResultsError(fmt::format("{}: found {} bytes, expected at most {}", path.string(), size, largestFile));
    std::ifstream stream(path, std::ios::binary);
    if (!stream)
        throw ResultsError(fmt::format("{}: cannot be read: {}", path.string(), std::strerror(errno)));
    const std::string text{std::istreambuf_iterator<char>(stream), {}};
    return parseCsv(text, path.string());
}

} // namespace kvloupe
