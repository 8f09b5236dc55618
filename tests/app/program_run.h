// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <csignal>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace kvloupe {

/// A program that was run to its end: what a person would see of it.
struct ProgramRun {
    int status = -1; ///< exit status, or 128 + signal
    std::string out;
    std::string err;
};

struct ProgramRunOptions {
    std::string input; ///< standard input
    std::map<std::string, std::string> environment; ///< set on top of the test's own
    std::filesystem::path outFile; ///< standard output goes there instead of ProgramRun::out
    std::function<bool()> interruptWhen; ///< a signal once it says so; asked every few milliseconds
    int interruptWith = SIGINT;
};

/// Runs `program` with `arguments` (its own name not among them), without a shell.
ProgramRun runProgramFile(const std::filesystem::path& program, const std::vector<std::string>& arguments,
    const ProgramRunOptions& options = {});

/// The same for a program of the build, such as "kvloupe".
ProgramRun runBuilt(
    const std::string& name, const std::vector<std::string>& arguments, const ProgramRunOptions& options = {});

/// Whether the build has made that program.
bool isBuilt(const std::string& name);

} // namespace kvloupe
