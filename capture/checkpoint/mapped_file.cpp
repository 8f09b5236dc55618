// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/checkpoint/mapped_file.h"

#include "capture/checkpoint/checkpoint_error.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <limits>
#include <utility>

namespace kvloupe {

namespace {

class FileDescriptor {
public:
    explicit FileDescriptor(const std::filesystem::path& path)
        : m_descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK))
    {
    }
    FileDescriptor(const FileDescriptor&) = delete;
    FileDescriptor& operator=(const FileDescriptor&) = delete;
    ~FileDescriptor()
    {
        if (m_descriptor >= 0)
            ::close(m_descriptor);
    }
    int get() const { return m_descriptor; }

private:
    int m_descriptor;
};

} // namespace

MappedFile::MappedFile(const std::filesystem::path& path)
    : m_path(path)
{
    const FileDescriptor file(path);
    struct stat status { };
    if (file.get() < 0 || ::fstat(file.get(), &status) != 0)
        throw CheckpointError(fmt::format("{}: cannot be opened: {}", path.string(), std::strerror(errno)));
    if (!S_ISREG(status.st_mode))
        throw CheckpointError(fmt::format("{}: is not a regular file", path.string()));
    if (status.st_size <= 0)
        throw CheckpointError(fmt::format("{}: is empty", path.string()));
    if (static_cast<std::uintmax_t>(status.st_size) > std::numeric_limits<std::size_t>::max())
        throw CheckpointError(fmt::format("{}: is too large to map into memory", path.string()));
    m_size = static_cast<std::size_t>(status.st_size);
    void* const address = ::mmap(nullptr, m_size, PROT_READ, MAP_PRIVATE, file.get(), 0);
    if (address == MAP_FAILED)
        throw CheckpointError(fmt::format("{}: cannot be mapped into memory: {}", path.string(), std::strerror(errno)));
    m_data = static_cast<const std::byte*>(address);
}

void MappedFile::requireUncut() const
{
    std::error_code error;
    const std::uintmax_t now = std::filesystem::file_size(m_path, error);
    if (!error && now < m_size) // one that was deleted is still there for those who have it open
        throw CheckpointError(
            fmt::format("{}: was cut while it was open: found {} bytes, expected {}", m_path.string(), now, m_size));
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : m_path(std::move(other.m_path))
    , m_data(std::exchange(other.m_data, nullptr))
    , m_size(std::exchange(other.m_size, 0))
{
}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept
{
    std::swap(m_path, other.m_path);
    std::swap(m_data, other.m_data);
    std::swap(m_size, other.m_size);
    return *this;
}

namespace {

/// madvise over the pages of a part of a mapping: those that lie wholly inside, or all that it touches.
void advise(std::span<const std::byte> mapped, int advice, bool wholePages)
{
    const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
    const std::uintptr_t up = page - 1;
    const auto begin = (reinterpret_cast<std::uintptr_t>(mapped.data()) + (wholePages ? up : 0)) / page * page;
    const auto end
        = (reinterpret_cast<std::uintptr_t>(mapped.data() + mapped.size()) + (wholePages ? 0 : up)) / page * page;
    // Advice only: a kernel that declines it changes speed and nothing else.
    if (begin < end)
        ::madvise(reinterpret_cast<void*>(begin), end - begin, advice);
}

} // namespace

void releasePages(std::span<const std::byte> mapped)
{
    advise(mapped, MADV_DONTNEED, true);
}

void prefetchPages(std::span<const std::byte> mapped)
{
    advise(mapped, MADV_WILLNEED, false);
}

void populatePages(std::span<const std::byte> mapped)
{
    advise(mapped, MADV_POPULATE_READ, false);
}

MappedFile::~MappedFile()
{
    if (m_data != nullptr)
        ::munmap(const_cast<std::byte*>(m_data), m_size);
}

} // namespace kvloupe
