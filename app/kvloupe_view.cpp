// SPDX-License-Identifier: GPL-3.0-or-later

#include "app/commands/figure_command.h"
#include "app/commands/view_command.h"
#include "app/program.h"

#include <algorithm>
#include <array>
#include <CLI/CLI.hpp>
#include <string>
#include <string_view>
#include <vector>

int main(int argc, char** argv)
{
    CLI::App program("Draws for kvloupe: the window and the figures.", "kvloupe-view");
    program.require_subcommand(1);
    kvloupe::addViewCommand(program);
    kvloupe::addFigureCommand(program);
    kvloupe::addProgramOptions(program);

    // A desktop starts it as `kvloupe-view FILE`.
    static constexpr std::array<std::string_view, 7> known{
        "view", "figure", "--help", "-h", "--version", "--man-commands", "--man"};
    std::vector<char*> arguments(argv, argv + argc);
    std::string view = "view";
    if (argc < 2 || std::find(known.begin(), known.end(), std::string_view(argv[1])) == known.end())
        arguments.insert(arguments.begin() + 1, view.data());
    const int count = static_cast<int>(arguments.size());
    arguments.push_back(nullptr);
    return kvloupe::runProgram(program, count, arguments.data());
}
