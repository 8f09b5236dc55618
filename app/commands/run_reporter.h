// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/recorder/capture_session.h"
#include "core/progress/progress.h"

#include <string>

namespace kvloupe {

/// What the commands that run a model tell their user on stderr: messages, and one stage of progress after the other.
class RunReporter {
public:
    /// `mode`: bar, json or none. Warns of a slow BLAS.
    explicit RunReporter(const std::string& mode);

    /// Valid as long as this object.
    RunEvents events();
    void say(std::string_view message);
    /// Before results are printed.
    void end() { m_progress.end(); }

private:
    Progress m_progress;
    std::string m_stage;
};

} // namespace kvloupe
