// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <string>
#include <string_view>

namespace CLI {
class App;
}

namespace kvloupe {

/// The commands of a program as roff sub-sections: synopsis, what it does, every option, the example. The text is that
/// of --help.
std::string manCommands(const CLI::App& program);

/// The manual page kvloupe(1). `program`: the tree of kvloupe itself; `otherCommands`: sections of the commands that
/// other programs run, from their manCommands().
std::string manPage(const CLI::App& program, std::string_view otherCommands);

} // namespace kvloupe
