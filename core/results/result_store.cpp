// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/results/result_store.h"

#include "core/results/result_file.h"
#include "core/results/results_error.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <set>
#include <string>
#include <string_view>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace kvloupe {

namespace {

constexpr std::string_view headerBegin = "{\"format\":\"kvloupe-results\"";

class OwnedDescriptor {
public:
    explicit OwnedDescriptor(int descriptor)
        : m_descriptor(descriptor)
    {
    }
    OwnedDescriptor(const OwnedDescriptor&) = delete;
    OwnedDescriptor& operator=(const OwnedDescriptor&) = delete;
    ~OwnedDescriptor()
    {
        if (m_descriptor >= 0)
            ::close(m_descriptor);
    }
    int get() const { return m_descriptor; }

private:
    int m_descriptor;
};

[[noreturn]] void failed(const std::filesystem::path& path, const char* what)
{
    throw ResultsError(fmt::format("{}: cannot be {}: {}", path.string(), what, std::strerror(errno)));
}

int openFile(const std::filesystem::path& path, ResultStoreMode mode)
{
    const int create = mode == ResultStoreMode::New ? O_EXCL : 0;
    const int descriptor = ::open(path.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | create, 0666);
    if (descriptor < 0 && errno == EEXIST)
        throw ResultsError(
            fmt::format("{}: exists already; resume it, replace it, or name another file", path.string()));
    if (descriptor < 0)
        failed(path, "opened for writing");
    return descriptor;
}

std::int64_t sizeOf(int descriptor, const std::filesystem::path& path)
{
    struct stat status { };
    if (::fstat(descriptor, &status) != 0)
        failed(path, "examined");
    if (!S_ISREG(status.st_mode))
        throw ResultsError(fmt::format("{}: found something that is not a file, expected a file", path.string()));
    return status.st_size;
}

/// A header that a killed program began to write, and nothing else.
bool holdsTornHeaderOnly(int descriptor, std::int64_t size)
{
    std::string text(static_cast<std::size_t>(std::min<std::int64_t>(size, 1 << 20)), '\0');
    const ssize_t count = ::pread(descriptor, text.data(), text.size(), 0);
    if (count < 0 || count != size || text.find('\n') != std::string::npos)
        return false;
    return text.size() < headerBegin.size() ? headerBegin.starts_with(text) : text.starts_with(headerBegin);
}

} // namespace

struct ResultStore::State {
    std::filesystem::path path;
    RunHeader header;
    ResultDurability durability;
    OwnedDescriptor file;
    std::int64_t size = 0; ///< bytes of the file, all of them whole lines
    std::set<SampleKey> complete;
    std::int64_t incompleteRows = 0;
    std::int64_t tornBytes = 0;

    State(std::filesystem::path file_path, RunHeader run, ResultStoreMode mode, ResultDurability wanted)
        : path(std::move(file_path))
        , header(std::move(run))
        , durability(wanted)
        , file(openFile(path, mode))
    {
        size = sizeOf(file.get(), path);
        if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
            if (errno == EWOULDBLOCK)
                throw ResultsError(fmt::format("{}: another program is writing to it", path.string()));
            failed(path, "locked");
        }
    }

    void cutTo(std::int64_t bytes)
    {
        if (::ftruncate(file.get(), bytes) != 0)
            failed(path, "shortened");
        size = bytes;
    }

    /// Appends whole lines, or leaves the file as it was.
    void write(std::string_view lines)
    {
        std::size_t written = 0;
        while (written < lines.size()) {
            const ssize_t count = ::write(file.get(), lines.data() + written, lines.size() - written);
            if (count < 0 && errno == EINTR)
                continue;
            if (count <= 0) {
                const int reason = errno;
                [[maybe_unused]] const int ignored = ::ftruncate(file.get(), size);
                errno = reason;
                failed(path, "written");
            }
            written += static_cast<std::size_t>(count);
        }
        size += static_cast<std::int64_t>(lines.size());
        if (durability == ResultDurability::Sync && ::fdatasync(file.get()) != 0)
            failed(path, "synced");
    }

    void resume()
    {
        if (holdsTornHeaderOnly(file.get(), size)) {
            tornBytes = size;
            cutTo(0);
            return;
        }
        const ResultFile found = readResults(path, ResultTexts::Drop);
        if (found.runs.size() != 1)
            throw ResultsError(
                fmt::format("{}: found {} runs joined, expected one to go on with", path.string(), found.runs.size()));
        const ResultRun& run = found.runs.front();
        if (const auto difference = firstDifference(run.header, header))
            throw ResultsError(fmt::format("{}, line 1, field {}; a run goes on only with the same parameters: name "
                                           "another file, or give the ones of this",
                path.string(), *difference));
        for (const ResultRow& row : run.rows)
            complete.insert(row.key);
        incompleteRows = run.incompleteRows;
        tornBytes = found.tornBytes;
        cutTo(found.bytes);
    }

    void check(std::span<const ResultRow> rows) const
    {
        const auto wrong = [&](const char* field, const std::string& found, const std::string& expected) {
            throw ResultsError(fmt::format(
                "{}: rows to append, field {}: found {}, expected {}", path.string(), field, found, expected));
        };
        if (rows.size() != header.branches.size())
            wrong("branches", fmt::format("{} rows", rows.size()), fmt::format("{}", header.branches.size()));
        for (std::size_t index = 0; index < rows.size(); ++index) {
            const ResultRow& row = rows[index];
            const ResultBranch& branch = header.branches[index];
            if (row.branch != static_cast<std::int64_t>(index)
                || row.branches != static_cast<std::int64_t>(rows.size()))
                wrong("branch", fmt::format("{} of {}", row.branch, row.branches),
                    fmt::format("{} of {}", index, rows.size()));
            if (row.key != rows.front().key)
                wrong("sample", row.key.sample, rows.front().key.sample);
            if (row.suite != header.suite)
                wrong("suite", row.suite, header.suite);
            if (row.model != header.model)
                wrong("model", row.model.name, header.model.name + " as in the run's first line");
            if (row.method.name != branch.method || row.method.spec != branch.spec)
                wrong("method", row.method.spec, branch.spec);
            if (row.budget.kind != branch.budgetKind || row.budget.text != branch.budget)
                wrong("budget", row.budget.kind + " " + row.budget.text, branch.budgetKind + " " + branch.budget);
        }
    }
};

ResultStore::ResultStore(
    std::filesystem::path path, RunHeader header, ResultStoreMode mode, ResultDurability durability)
{
    if (header.branches.empty())
        throw ResultsError(fmt::format("{}: found no branches, expected at least one", path.string()));
    m_state = std::make_unique<State>(std::move(path), std::move(header), mode, durability);
    if (mode == ResultStoreMode::Replace)
        m_state->cutTo(0);
    else if (m_state->size > 0)
        m_state->resume();
    if (m_state->size == 0)
        m_state->write(headerLine(m_state->header) + "\n");
}

ResultStore::~ResultStore() = default;

bool ResultStore::isComplete(const SampleKey& key) const
{
    return m_state->complete.contains(key);
}

std::size_t ResultStore::completeSamples() const
{
    return m_state->complete.size();
}

std::int64_t ResultStore::incompleteRows() const
{
    return m_state->incompleteRows;
}

std::int64_t ResultStore::tornBytes() const
{
    return m_state->tornBytes;
}

void ResultStore::append(std::span<const ResultRow> rows)
{
    m_state->check(rows);
    std::string lines;
    for (const ResultRow& row : rows)
        lines += resultLine(row) + "\n";
    m_state->write(lines);
    m_state->complete.insert(rows.front().key);
}

} // namespace kvloupe
