// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/recording/recording.h"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace kvloupe {

/// Float arrays that were derived from a recording by a pass over all of its rows, kept beside it in
/// `RECORDING.kvcache` so that they are derived once.
///
/// The file carries the recording's identity (uuid, size, time of change) and a checksum per array. It is never
/// trusted: another recording's, a stale, a damaged or a half-written one is as if it was not there, and deleting it
/// costs time only. Nothing is kept of a recording that still grows, nor where the folder cannot be written. Any number
/// of processes may use it at once; one of them appends at a time. Any thread.
class RecordingCache {
public:
    /// Reads what is there. `recording` need not outlive this object.
    explicit RecordingCache(const Recording& recording);
    ~RecordingCache();
    RecordingCache(RecordingCache&&) noexcept;
    RecordingCache& operator=(RecordingCache&&) noexcept;

    /// The array of a layer that was stored under `name`, if it has `size` values.
    std::optional<std::vector<float>> find(int sample, int layer, std::string_view name, std::size_t size) const;
    /// Keeps an array for the next time; silently not, if the disk is full or the file has grown to `maximumBytes`.
    void store(int sample, int layer, std::string_view name, std::span<const float> values);

    const std::filesystem::path& path() const;

    static constexpr std::uint64_t maximumBytes = std::uint64_t{1} << 30;

private:
    struct State;
    std::unique_ptr<State> m_state;
};

} // namespace kvloupe
