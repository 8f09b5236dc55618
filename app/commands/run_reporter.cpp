// SPDX-License-Identifier: GPL-3.0-or-later

#include "app/commands/run_reporter.h"

#include "capture/model/blas_info.h"

#include <fmt/format.h>

namespace kvloupe {

RunReporter::RunReporter(const std::string& mode)
    : m_progress(progressModeFromName(mode).value_or(ProgressMode::Bar))
{
    if (const std::string warning = blasWarning(); !warning.empty())
        say(warning);
}

RunEvents RunReporter::events()
{
    RunEvents events;
    events.say = [this](std::string_view message) { say(message); };
    events.progress = [this](std::string_view stage, double fraction) {
        if (stage != m_stage) {
            m_stage = stage;
            m_progress.begin(stage);
        }
        return m_progress.advance(fraction);
    };
    return events;
}

void RunReporter::say(std::string_view message)
{
    m_progress.clear();
    fmt::print(stderr, "kvloupe: {}\n", message);
}

} // namespace kvloupe
