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
#include <utility>
#include <vector>

namespace kvloupe {

class SessionError : public Error {
public:
    using Error::Error;
};

/// Few-shot examples as a person corrected them, by sample: half-open token ranges, ascending.
using ShotEdits = std::map<int, std::vector<TokenRange>>;

/// Heads that a person put together under a name.
struct HeadSet {
    std::string name;
    std::vector<std::pair<int, int>> heads; ///< layer and query head, ascending, each once

    bool operator==(const HeadSet&) const = default;
};

/// What a person added to a recording; lies beside it as a .kvsession file (docs/window.md).
struct SessionContents {
    std::string recordingUuid;
    std::string recordingFile; ///< name without folder, for people
    ShotEdits shots;
    std::vector<HeadSet> headSets; ///< names differ

    bool operator==(const SessionContents&) const = default;
};

/// JSON with the ids and prompt hashes of `samples`, so that a session is not taken for that of another recording.
/// Version 2 of the format has sets of heads; without any it is written as version 1.
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
