// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace kvloupe {

/// A program of ours that may not be installed, and what to say then.
struct SiblingProgram {
    std::string_view name; ///< "kvloupe-run"
    std::string_view option; ///< CMake option that builds it: "KVLOUPE_CAPTURE"
    std::string_view purpose; ///< "runs models"
};

inline constexpr SiblingProgram runProgramSibling{"kvloupe-run", "KVLOUPE_CAPTURE", "runs models"};
inline constexpr SiblingProgram viewProgramSibling{"kvloupe-view", "KVLOUPE_VIEW", "draws the window and figures"};

/// Looks beside the running executable first, then in PATH.
std::optional<std::filesystem::path> findSibling(std::string_view name);

/// Replaces this process by the sibling, with `arguments` after its name. Returns never; throws Error naming the
/// package and the CMake option if the program is missing, or why it could not be started.
[[noreturn]] void executeSibling(
    const SiblingProgram& sibling, std::string_view command, std::span<char* const> arguments);

/// Standard output of `program arguments...`, or nothing if it could not be run or failed. No shell is involved.
std::optional<std::string> outputOf(const std::filesystem::path& program, std::span<const std::string> arguments);

} // namespace kvloupe
