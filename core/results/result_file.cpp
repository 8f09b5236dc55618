// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/results/result_file.h"

#include "core/results/json_fields.h"
#include "core/results/results_error.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <map>
#include <set>

namespace kvloupe {

namespace {

using Json = nlohmann::json;

constexpr std::size_t longestLine = std::size_t{16} << 20;
constexpr std::size_t blockBytes = std::size_t{256} << 10;

/// Lines of a file with a bound on their length.
class LineReader {
public:
    explicit LineReader(const std::filesystem::path& path)
        : m_path(path)
        , m_stream(path, std::ios::binary)
    {
        if (!m_stream || std::filesystem::is_directory(path))
            throw ResultsError(fmt::format("{}: cannot be opened: {}", path.string(),
                std::filesystem::is_directory(path) ? "it is a folder" : std::strerror(errno)));
    }

    /// The next line that has a line break, without it. False at the end; what is then left is `rest()`.
    bool next(std::string& line)
    {
        for (;;) {
            if (const auto end = m_buffer.find('\n', m_searched); end != std::string::npos) {
                line.assign(m_buffer, m_begin, end - m_begin);
                m_begin = m_searched = end + 1;
                ++m_number;
                return true;
            }
            m_buffer.erase(0, m_begin);
            m_begin = 0;
            m_searched = m_buffer.size();
            if (m_buffer.size() > longestLine)
                throw ResultsError(fmt::format("{}, line {}: longer than {} bytes, expected JSON lines",
                    m_path.string(), m_number + 1, longestLine));
            m_buffer.resize(m_searched + blockBytes);
            m_stream.read(m_buffer.data() + m_searched, static_cast<std::streamsize>(blockBytes));
            m_buffer.resize(m_searched + static_cast<std::size_t>(m_stream.gcount()));
            if (m_stream.bad())
                throw ResultsError(fmt::format("{}: cannot be read: {}", m_path.string(), std::strerror(errno)));
            if (m_buffer.size() == m_searched)
                return false;
        }
    }

    std::string_view rest() const { return std::string_view(m_buffer).substr(m_begin); }
    std::string where() const { return fmt::format("{}, line {}", m_path.string(), m_number); }

private:
    std::filesystem::path m_path;
    std::ifstream m_stream;
    std::string m_buffer;
    std::size_t m_begin = 0; ///< of the next line in the buffer
    std::size_t m_searched = 0; ///< no line break lies before it
    std::int64_t m_number = 0; ///< of the line given last, from 1
};

void expectSame(const std::string& found, const std::string& expected, const char* field, const std::string& where)
{
    if (found != expected)
        throw ResultsError(fmt::format("{}, field {}: found {}, expected {} as in the run's first line", where, field,
            shownJson(Json(found)), shownJson(Json(expected))));
}

/// A row that does not belong to its run was copied there from elsewhere.
void expectRowOfRun(const ResultRow& row, const RunHeader& header, const std::string& where)
{
    const auto branches = static_cast<std::int64_t>(header.branches.size());
    if (row.branches != branches)
        throw ResultsError(fmt::format(
            "{}, field branches: found {}, expected {} as in the run's first line", where, row.branches, branches));
    const ResultBranch& branch = header.branches[static_cast<std::size_t>(row.branch)];
    expectSame(row.suite, header.suite, "suite", where);
    expectSame(row.model.fileSha256, header.model.fileSha256, "model.file_sha256", where);
    expectSame(row.model.adapterSha256.value_or("none"), header.model.adapterSha256.value_or("none"),
        "model.adapter_sha256", where);
    expectSame(row.method.name, branch.method, "method.name", where);
    expectSame(row.method.spec, branch.spec, "method.spec", where);
    expectSame(row.budget.kind, branch.budgetKind, "budget.kind", where);
    expectSame(row.budget.text, branch.budget, "budget.text", where);
}

/// Puts the rows of a run together to samples.
class SampleCollector {
public:
    explicit SampleCollector(RunHeader header) { m_run.header = std::move(header); }

    const RunHeader& header() const { return m_run.header; }

    void add(ResultRow row)
    {
        const bool continues = !m_open.empty() && row.branch == static_cast<std::int64_t>(m_open.size())
            && row.key == m_open.front().key;
        if (!continues) {
            drop();
            if (row.branch != 0) {
                m_open.push_back(std::move(row));
                drop();
                return;
            }
        }
        m_open.push_back(std::move(row));
        if (m_open.size() == m_run.header.branches.size()) {
            SampleKey key = m_open.front().key;
            if (const auto earlier = m_complete.find(key); earlier != m_complete.end())
                m_replaced.insert(earlier->second);
            m_complete[std::move(key)] = m_samples.size();
            m_samples.push_back(std::move(m_open));
            m_open.clear();
        }
    }

    ResultRun take()
    {
        drop();
        for (std::size_t sample = 0; sample < m_samples.size(); ++sample) {
            if (m_replaced.contains(sample)) {
                m_run.supersededRows += static_cast<std::int64_t>(m_samples[sample].size());
                continue;
            }
            std::ranges::move(m_samples[sample], std::back_inserter(m_run.rows));
        }
        for (const auto& [key, rows] : m_dropped)
            (m_complete.contains(key) ? m_run.supersededRows : m_run.incompleteRows) += rows;
        return std::move(m_run);
    }

private:
    /// The open rows will not become a whole sample.
    void drop()
    {
        if (!m_open.empty())
            m_dropped[m_open.front().key] += static_cast<std::int64_t>(m_open.size());
        m_open.clear();
    }

    ResultRun m_run;
    std::vector<ResultRow> m_open;
    std::vector<std::vector<ResultRow>> m_samples;
    std::map<SampleKey, std::size_t> m_complete;
    std::set<std::size_t> m_replaced;
    std::map<SampleKey, std::int64_t> m_dropped; ///< rows
};

void dropTexts(ResultRow& row)
{
    row.reference = {};
    if (row.outcome) {
        row.outcome->text = {};
        row.outcome->extracted = {};
    }
}

} // namespace

ResultFile readResults(const std::filesystem::path& path, ResultTexts texts, const std::function<bool()>& stopped)
{
    LineReader lines(path);
    ResultFile file;
    file.path = path;
    std::optional<SampleCollector> run;
    for (std::string line; lines.next(line);) {
        if (stopped && stopped())
            throw ResultsError(fmt::format("{}: reading was stopped", path.string()));
        file.bytes += static_cast<std::int64_t>(line.size()) + 1;
        if (line.find_first_not_of(" \t\r") == std::string::npos)
            continue;
        const std::string where = lines.where();
        const Json object = parseJsonLine(line, where);
        const std::string type = JsonFields(object, where).text("type", {"run", "row"});
        if (type == "run") {
            if (run)
                file.runs.push_back(run->take());
            run.emplace(runHeaderFromJson(object, where));
            continue;
        }
        if (!run)
            throw ResultsError(fmt::format("{}: found a row, expected the header of a run first", where));
        ResultRow row = resultRowFromJson(object, where);
        expectRowOfRun(row, run->header(), where);
        if (texts == ResultTexts::Drop)
            dropTexts(row);
        run->add(std::move(row));
    }
    file.tornBytes = static_cast<std::int64_t>(lines.rest().size());
    if (!run)
        throw ResultsError(fmt::format("{}: found {}, expected the header of a run in the first line", path.string(),
            file.tornBytes == 0 ? "an empty file" : "one line that does not end"));
    file.runs.push_back(run->take());
    return file;
}

} // namespace kvloupe
