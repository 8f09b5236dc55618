// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <string_view>

namespace CLI {
class App;
}

namespace kvloupe {

/// What the three programs share: parses the command line, runs the chosen command's callback and turns whatever comes
/// out of it into the exit status of docs/command-line.md.
///
/// 0 done; 1 failed, with one line `kvloupe: error: ...` on stderr; 2 wrong usage; 130 interrupted. A standard output
/// that cannot be written (a full disk) is a failure. SIGPIPE ends the program without a word.
int runProgram(CLI::App& program, int argc, char** argv);

/// One line on stderr: `kvloupe: error: MESSAGE`; line breaks in the message become blanks.
void reportError(std::string_view message);

/// Adds --version and the options that only the build uses (--man-commands).
void addProgramOptions(CLI::App& program);

} // namespace kvloupe
