// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/methods/budget.h"
#include "core/methods/method.h"

#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace kvloupe {

/// --method, --keep, --capacity, --compression-ratio and --decode-keep of the commands that replay methods.
struct MethodOptions {
    std::vector<std::string> specs;
    std::vector<std::string> keep;
    std::vector<std::string> capacity;
    std::vector<std::string> compressionRatio;
    std::string decodeKeep;

    /// This object outlives `command`'s parsing.
    void addTo(CLI::App& command);
    /// Throws CLI::ValidationError unless there is a method, and budgets of exactly one kind.
    void require() const;
    bool given() const; ///< a method, or a budget of any kind

    std::vector<Method> methods() const;
    std::vector<Budget> budgets() const;
    std::optional<Budget> decodeBudget() const;
};

} // namespace kvloupe
