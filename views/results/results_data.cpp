// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/results/results_data.h"

#include "core/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <iterator>
#include <map>
#include <system_error>
#include <tuple>

namespace kvloupe {

namespace {

std::string rowCount(std::int64_t rows)
{
    return fmt::format("{} {}", rows, rows == 1 ? "row" : "rows");
}

/// What a row shares with the full run of its sample.
auto runKey(const ResultRow& row)
{
    return std::tie(row.key, row.prompt.sha256, row.maxNewTokens, row.suite, row.model.fileSha256,
        row.model.adapterSha256, row.model.tokenizerSha256, row.model.architecture, row.model.dtype);
}

std::vector<std::optional<std::size_t>> fullRowsOf(const std::vector<ResultRow>& rows)
{
    const auto less = [](const ResultRow* a, const ResultRow* b) { return runKey(*a) < runKey(*b); };
    std::map<const ResultRow*, std::size_t, decltype(less)> full(less);
    for (std::size_t number = 0; number < rows.size(); ++number)
        if (rows[number].method.name == "full")
            full.insert_or_assign(&rows[number], number);
    std::vector<std::optional<std::size_t>> result;
    for (const ResultRow& row : rows) {
        const auto found = full.find(&row);
        result.push_back(found == full.end() ? std::nullopt : std::optional(found->second));
    }
    return result;
}

/// Moves the rows of a file behind those that are there.
void take(ResultFile file, ResultsData& data, SummaryBuilder& byMethod, SummaryBuilder& overMethods,
    std::vector<std::string>& remarks)
{
    if (file.tornBytes > 0)
        remarks.push_back(fmt::format("the last line is not finished ({} bytes) and was left out", file.tornBytes));
    for (ResultRun& run : file.runs) {
        if (run.incompleteRows > 0)
            remarks.push_back(
                fmt::format("{} of samples that were not completed were left out", rowCount(run.incompleteRows)));
        byMethod.add(run);
        overMethods.add(run);
        std::ranges::move(run.rows, std::back_inserter(data.rows));
    }
}

} // namespace

bool isResultsFile(const std::filesystem::path& path)
{
    return path.extension() == ".jsonl";
}

std::optional<FileStamp> stampOf(const std::filesystem::path& path)
{
    std::error_code error;
    FileStamp stamp;
    stamp.bytes = std::filesystem::file_size(path, error);
    if (error)
        return std::nullopt;
    stamp.changed = std::filesystem::last_write_time(path, error);
    return error ? std::nullopt : std::optional(stamp);
}

std::shared_ptr<const ResultsData> readResultsData(
    const std::vector<std::filesystem::path>& files, const std::function<bool()>& stopped)
{
    auto data = std::make_shared<ResultsData>();
    std::set<SummaryField> fields = defaultSummaryFields();
    SummaryBuilder byMethod(fields);
    fields.erase(SummaryField::Method);
    SummaryBuilder overMethods(fields);
    for (const std::filesystem::path& path : files) {
        if (stopped && stopped())
            return nullptr;
        ResultsData::File& file = data->files.emplace_back();
        file.path = path;
        // Taken before reading: what is appended meanwhile is found the next time.
        file.stamp = stampOf(path);
        try {
            take(readResults(path, ResultTexts::Keep, stopped), *data, byMethod, overMethods, file.remarks);
        } catch (const std::exception& error) {
            file.problem = error.what();
        }
    }
    if (stopped && stopped())
        return nullptr;
    data->fullRows = fullRowsOf(data->rows);
    data->byMethod = byMethod.build();
    data->overMethods = overMethods.build();
    try {
        data->published = publishedResults();
    } catch (const Error& error) {
        data->publishedProblem = error.what();
    }
    return data;
}

} // namespace kvloupe
