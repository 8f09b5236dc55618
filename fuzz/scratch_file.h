// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

namespace kvloupe {

/// Bytes as a file that lives in memory, for readers that take a path.
class ScratchFile {
public:
    explicit ScratchFile(std::span<const std::uint8_t> bytes)
        : m_descriptor(::memfd_create("fuzz", MFD_CLOEXEC))
    {
        std::size_t written = 0;
        while (written < bytes.size()) {
            const ssize_t count = ::write(m_descriptor, bytes.data() + written, bytes.size() - written);
            if (count <= 0)
                break;
            written += static_cast<std::size_t>(count);
        }
    }
    ScratchFile(const ScratchFile&) = delete;
    ScratchFile& operator=(const ScratchFile&) = delete;
    ~ScratchFile() { ::close(m_descriptor); }

    std::filesystem::path path() const { return "/proc/self/fd/" + std::to_string(m_descriptor); }

private:
    int m_descriptor;
};

} // namespace kvloupe
