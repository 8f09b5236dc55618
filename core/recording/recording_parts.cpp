// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/recording/recording_parts.h"

#include "core/recording/chunk_codec.h"
#include "core/recording/recording_layout.h"

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

namespace kvloupe {
namespace {

[[noreturn]] void failWithErrno(const std::filesystem::path& path, int error)
{
    throw RecordingError(fmt::format("{}: {}", path.string(), std::strerror(error)));
}

void sync(const std::filesystem::path& path, int flags)
{
    const int descriptor = open(path.c_str(), flags | O_CLOEXEC);
    if (descriptor < 0) {
        failWithErrno(path, errno);
    }
    const int result = fsync(descriptor);
    const int error = errno;
    close(descriptor);
    // Some file systems cannot sync a folder; the rename is as durable there as it gets.
    if (result != 0 && error != EINVAL) {
        failWithErrno(path, error);
    }
}

} // namespace

std::filesystem::path partsFolder(const std::filesystem::path& path)
{
    std::filesystem::path folder = path;
    folder += ".parts";
    return folder;
}

std::filesystem::path partPath(const std::filesystem::path& folder, int index)
{
    return folder / (layout::sampleName(index) + ".h5");
}

std::filesystem::path temporaryPartPath(const std::filesystem::path& folder, int index)
{
    return folder / fmt::format(".{}.h5.tmp", layout::sampleName(index));
}

std::map<int, std::filesystem::path> listParts(const std::filesystem::path& folder)
{
    std::map<int, std::filesystem::path> parts;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
        const std::string stem = entry.path().stem().string();
        if (entry.path().extension() == ".h5" && stem.size() == 6
            && std::ranges::all_of(stem, [](char c) { return c >= '0' && c <= '9'; })) {
            parts.emplace(std::stoi(stem), entry.path());
        }
    }
    if (error && error != std::errc::no_such_file_or_directory) {
        throw RecordingError(fmt::format("{}: {}", folder.string(), error.message()));
    }
    return parts;
}

void syncFile(const std::filesystem::path& path)
{
    sync(path, O_RDONLY);
}

void syncFolder(const std::filesystem::path& folder)
{
    sync(folder.empty() ? std::filesystem::path(".") : folder, O_RDONLY | O_DIRECTORY);
}

void renameDurably(const std::filesystem::path& from, const std::filesystem::path& to)
{
    std::error_code error;
    std::filesystem::rename(from, to, error);
    if (error) {
        throw RecordingError(
            fmt::format("{}: cannot be renamed to {}: {}", from.string(), to.string(), error.message()));
    }
    syncFolder(to.parent_path());
    if (from.parent_path() != to.parent_path()) {
        syncFolder(from.parent_path());
    }
}

PartsLock::PartsLock(const std::filesystem::path& folder)
{
    const std::filesystem::path file = fileIn(folder);
    m_descriptor = open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (m_descriptor < 0) {
        failWithErrno(file, errno);
    }
    if (flock(m_descriptor, LOCK_EX | LOCK_NB) != 0) {
        const int error = errno;
        close(m_descriptor);
        if (error == EWOULDBLOCK) {
            throw RecordingError(fmt::format("{}: another capture is writing this recording", folder.string()));
        }
        failWithErrno(file, error);
    }
}

PartsLock::~PartsLock()
{
    close(m_descriptor);
}

std::filesystem::path PartsLock::fileIn(const std::filesystem::path& folder)
{
    return folder / ".lock";
}

} // namespace kvloupe
