// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/error.h"
#include "core/prompt/prompt_layout.h"
#include "core/recording/recording_types.h"

#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kvloupe {

class SessionError : public Error {
public:
    using Error::Error;
};

/// Few-shot examples as a person corrected them, by sample: half-open token ranges, ascending.
using ShotEdits = std::map<int, std::vector<TokenRange>>;

/// What a person added to a recording; lies beside it as a .kvsession file (docs/window.md).
struct SessionContents {
    std::string recordingUuid;
    std::string recordingFile; ///< name without folder, for people
    ShotEdits shots;

    bool operator==(const SessionContents&) const = default;
};

/// JSON with the ids and prompt hashes of `samples`, so that a session is not taken for that of another recording.
std::string sessionToJson(const SessionContents& session, std::span<const SampleInfo> samples);

/// Reads what sessionToJson wrote. `where` begins every message. Throws SessionError naming the field, what was found
/// and what was expected: for a newer version, another recording, samples that `samples` does not have, and shots that
/// do not fit their prompt.
SessionContents sessionFromJson(std::string_view text, std::string_view where, const std::string& recordingUuid,
    std::span<const SampleInfo> samples);

/// The whole file, at most 16 MiB. Throws SessionError.
std::string readSessionText(const std::filesystem::path& path);

/// Where the session of a recording lies: r.kvsession for r.h5 and for the folder r.h5.parts.
std::filesystem::path sessionPathOf(const std::filesystem::path& recording);

} // namespace kvloupe
