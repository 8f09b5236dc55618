// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/tasks/task.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace kvloupe {

/// --suite, --task and what shapes their items: the commands that run models on tasks.
struct SuiteOptions {
    std::string suite;
    std::vector<std::string> taskNames;
    std::int64_t samples = 20;
    std::optional<int> shots;
    std::uint64_t seed = 0;
    int level = 0;
    std::string data;
    std::string shotData;
    std::string promptData;
    std::optional<double> depth;
    std::int64_t contextWords = 0;
    int questions = 0;

    /// This object outlives `command`'s parsing.
    void addTo(CLI::App& command);
    /// Those that were named, else all of the suite. Throws TaskError for unknown names.
    std::vector<const Task*> tasks() const;
    TaskOptions itemOptions(bool chat) const;
    /// " --suite fundamental --task ar ...", what was given; empty without a suite.
    std::string commandText() const;
};

} // namespace kvloupe
