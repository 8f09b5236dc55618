// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <filesystem>
#include <map>

namespace kvloupe {

/// The folder of parts of the recording `path`: "REC.h5.parts".
std::filesystem::path partsFolder(const std::filesystem::path& path);
/// "NNNNNN.h5" / ".NNNNNN.h5.tmp" in a folder of parts.
std::filesystem::path partPath(const std::filesystem::path& folder, int index);
std::filesystem::path temporaryPartPath(const std::filesystem::path& folder, int index);
/// Complete parts in a folder, by sample index.
std::map<int, std::filesystem::path> listParts(const std::filesystem::path& folder);

/// Waits until the file's, or the folder's, contents are on the disk. RecordingError names it.
void syncFile(const std::filesystem::path& path);
void syncFolder(const std::filesystem::path& folder);
/// Renames a synced file so that the new name survives a crash.
void renameDurably(const std::filesystem::path& from, const std::filesystem::path& to);

/// Holds the right to write one recording, against other processes and other objects of this one, by a lock on a file
/// in the folder of parts.
class PartsLock {
public:
    /// RecordingError if the folder cannot be written or somebody else holds the lock.
    explicit PartsLock(const std::filesystem::path& folder);
    ~PartsLock();
    PartsLock(const PartsLock&) = delete;
    PartsLock& operator=(const PartsLock&) = delete;

    static std::filesystem::path fileIn(const std::filesystem::path& folder);

private:
    int m_descriptor = -1;
};

} // namespace kvloupe
