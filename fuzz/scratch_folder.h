// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

namespace kvloupe {

/// A folder in memory whose files are replaced by each input, for readers that take a folder.
class ScratchFolder {
public:
    ScratchFolder()
    {
        std::string pattern = "/dev/shm/kvloupe-fuzz-XXXXXX";
        if (::mkdtemp(pattern.data()) == nullptr)
            std::abort(); // a target that never reaches its reader would pass
        m_path = pattern;
    }
    ScratchFolder(const ScratchFolder&) = delete;
    ScratchFolder& operator=(const ScratchFolder&) = delete;
    ~ScratchFolder()
    {
        std::error_code ignored;
        std::filesystem::remove_all(m_path, ignored);
    }

    const std::filesystem::path& path() const { return m_path; }
    /// No bytes are no file.
    void replace(std::string_view name, std::string_view bytes) const
    {
        if (bytes.empty())
            std::filesystem::remove(m_path / name);
        else
            std::ofstream(m_path / name, std::ios::binary) << bytes;
    }

private:
    std::filesystem::path m_path;
};

/// Cuts one input into the files of a folder.
class InputParts {
public:
    explicit InputParts(std::string_view input)
        : m_rest(input)
    {
    }

    /// As many bytes as the next two bytes say, the low one first.
    std::string_view take()
    {
        const std::string_view length = take(2);
        return length.size() < 2
            ? std::string_view{}
            : take(static_cast<unsigned char>(length[0]) + std::size_t{256} * static_cast<unsigned char>(length[1]));
    }
    std::string_view rest() const { return m_rest; }

private:
    std::string_view take(std::size_t wanted)
    {
        const std::string_view part = m_rest.substr(0, wanted);
        m_rest.remove_prefix(part.size());
        return part;
    }

    std::string_view m_rest;
};

} // namespace kvloupe
