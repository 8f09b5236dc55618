// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/results/published.h"

#include "core/program/program_folder.h"
#include "core/results/csv_table.h"
#include "core/results/results_error.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <system_error>

namespace kvloupe {

namespace {

/// Columns of a file, by where they stand in it.
class PublishedTable {
public:
    explicit PublishedTable(const std::filesystem::path& path)
        : m_table(readCsv(path))
        , m_file(path.filename().string())
    {
        for (const char* name : names)
            m_columns.push_back(m_table.column(name));
    }

    std::vector<PublishedValue> values() const
    {
        std::vector<PublishedValue> result;
        for (const CsvTable::Row& row : m_table.rows) {
            PublishedValue value;
            value.table = row.fields[m_columns[0]];
            value.model = row.fields[m_columns[1]];
            value.task = row.fields[m_columns[2]];
            if (const auto shots = number<int>(row, 3, 0, 10000))
                value.shots = *shots;
            value.method = row.fields[m_columns[4]];
            value.keptPercent = number<double>(row, 5, 0.0, 100.0);
            value.value = needed(row, 6);
            value.unit = row.fields[m_columns[7]];
            value.note = row.fields[m_columns[8]];
            value.source = row.fields[m_columns[9]];
            value.file = m_file;
            result.push_back(std::move(value));
        }
        return result;
    }

private:
    static constexpr std::array<const char*, 10> names{
        "table", "model", "task", "shots", "method", "kept_percent", "value", "unit", "note", "source"};

    [[noreturn]] void wrong(const CsvTable::Row& row, std::size_t column, std::string_view expected) const
    {
        throw ResultsError(fmt::format("{}, line {}, column {}: found \"{}\", expected {}", m_table.name, row.line,
            names[column], row.fields[m_columns[column]], expected));
    }

    template <typename Number>
    std::optional<Number> number(const CsvTable::Row& row, std::size_t column, Number low, Number high) const
    {
        const std::string& text = row.fields[m_columns[column]];
        if (text.empty())
            return std::nullopt;
        Number value{};
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        if (error != std::errc() || end != text.data() + text.size() || !(value >= low && value <= high))
            wrong(row, column, fmt::format("a number from {} to {}, or nothing", low, high));
        return value;
    }

    double needed(const CsvTable::Row& row, std::size_t column) const
    {
        const auto value = number<double>(row, column, -1e9, 1e9);
        if (!value)
            wrong(row, column, "a number");
        return *value;
    }

    CsvTable m_table;
    std::string m_file;
    std::vector<std::size_t> m_columns;
};

} // namespace

std::filesystem::path publishedFolder()
{
    std::error_code error;
    const std::filesystem::path folder = besideProgram("share/kvloupe/published");
    if (!std::filesystem::is_directory(folder, error))
        throw ResultsError(
            fmt::format("{}: found no folder, expected the published numbers; install kvloupe again", folder.string()));
    return folder;
}

std::vector<PublishedValue> publishedResults(const std::filesystem::path& folder)
{
    std::error_code error;
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(folder, error))
        if (entry.path().extension() == ".csv")
            files.push_back(entry.path());
    if (error)
        throw ResultsError(fmt::format("{}: cannot be read: {}", folder.string(), error.message()));
    std::ranges::sort(files);
    std::vector<PublishedValue> result;
    for (const std::filesystem::path& file : files)
        std::ranges::move(PublishedTable(file).values(), std::back_inserter(result));
    return result;
}

std::vector<PublishedValue> publishedResults()
{
    return publishedResults(publishedFolder());
}

} // namespace kvloupe
