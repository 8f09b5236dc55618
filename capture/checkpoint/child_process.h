// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <string>
#include <vector>

namespace kvloupe {

/// How a child process ended and what it wrote to standard output and error together (the last 64 KiB).
struct ChildResult {
    bool started = false; ///< false: there is no such program
    int status = -1; ///< exit status; 128 + signal if a signal ended it
    std::string output;

    /// The last line that is not blank, for a one-line message.
    std::string lastLine() const;
};

/// Runs a program found on PATH with these arguments (the first is its name) and waits for it. No shell is involved;
/// standard input is empty.
ChildResult runChild(const std::vector<std::string>& arguments);

} // namespace kvloupe
