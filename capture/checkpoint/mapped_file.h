// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

namespace kvloupe {

/// A whole file, read-only in memory (mmap). Movable; the bytes stay valid while any move of it lives.
/// A file that is cut while its bytes are read ends the program with SIGBUS, as with every mmap reader; requireUncut
/// finds one that was cut before.
class MappedFile {
public:
    /// Throws CheckpointError if the file is missing, is no regular file, is empty or cannot be read.
    explicit MappedFile(const std::filesystem::path& path);
    MappedFile(MappedFile&& other) noexcept;
    MappedFile& operator=(MappedFile&& other) noexcept;
    MappedFile(const MappedFile&) = delete;
    MappedFile& operator=(const MappedFile&) = delete;
    ~MappedFile();

    std::span<const std::byte> bytes() const { return {m_data, m_size}; }
    /// Throws CheckpointError if the file has become shorter since it was opened.
    void requireUncut() const;
    const std::filesystem::path& path() const { return m_path; }

private:
    std::filesystem::path m_path;
    const std::byte* m_data = nullptr;
    std::size_t m_size = 0;
};

/// Takes the whole pages within a part of a MappedFile out of this process's memory; they are read again when they are
/// touched again. A model that is read once would otherwise count twice.
void releasePages(std::span<const std::byte> mapped);

/// Asks the kernel to read a part of a MappedFile ahead.
void prefetchPages(std::span<const std::byte> mapped);
/// Takes all pages of a part of a MappedFile into this process's memory at once, which is several times cheaper than
/// one page fault after the other.
void populatePages(std::span<const std::byte> mapped);

} // namespace kvloupe
