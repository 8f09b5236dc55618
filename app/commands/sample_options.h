// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/prompt/prompt_layout.h"
#include "core/recording/recording.h"

#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace kvloupe {

/// --sample and --spans of the commands that look into the samples of a recording.
struct SampleOptions {
    std::vector<std::string> names;
    std::string spans;

    /// This object outlives `command`'s parsing.
    void addTo(CLI::App& command);
    /// Samples that were asked for, ascending; all without a name. Throws Error naming one that is not there.
    std::vector<int> samplesOf(const Recording& recording) const;
};

/// Where instruction, shots and question lie: as recorded, or as the file of --spans says.
class SampleLayouts {
public:
    /// `recording` outlives this object. Throws Error when the file cannot be read.
    SampleLayouts(const Recording& recording, const SampleOptions& options);
    PromptLayout of(int sample) const;

private:
    const Recording* m_recording;
    std::optional<std::vector<Span>> m_spans;
};

} // namespace kvloupe
