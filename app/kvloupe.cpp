// SPDX-License-Identifier: GPL-3.0-or-later

#include "app/commands/analyze_command.h"
#include "app/commands/info_command.h"
#include "app/commands/methods_command.h"
#include "app/commands/models_command.h"
#include "app/commands/replay_command.h"
#include "app/commands/summarize_command.h"
#include "app/commands/tokenize_command.h"
#include "app/commands/verify_command.h"
#include "app/launcher.h"
#include "app/man_page.h"
#include "app/program.h"
#include "core/error.h"

#include <algorithm>
#include <array>
#include <CLI/CLI.hpp>
#include <cstddef>
#include <iostream>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace {

using namespace kvloupe;

/// Commands that another program carries out; that program also has their options and their help.
struct HandedOn {
    std::string_view command;
    const SiblingProgram& program;
    const char* description;
};

constexpr std::array handedOn{
    HandedOn{"capture", runProgramSibling, "Record the attention of a model on prompts (kvloupe-run)"},
    HandedOn{"evaluate", runProgramSibling, "Measure tasks with compressed caches (kvloupe-run)"},
    HandedOn{"figure", viewProgramSibling, "Write a figure as PDF, SVG, PNG or CSV (kvloupe-view)"},
    HandedOn{"train-adapter", runProgramSibling, "Teach a LoRA adapter short answers or long reasoning (kvloupe-run)"},
    HandedOn{"view", viewProgramSibling, "Open the window (kvloupe-view)"},
};

void addOwnCommands(CLI::App& program)
{
    addInfoCommand(program);
    addVerifyCommand(program);
    addMethodsCommand(program);
    addReplayCommand(program);
    addAnalyzeCommand(program);
    addSummarizeCommand(program);
    addTokenizeCommand(program);
    addModelsCommand(program);
}

void addHandedOn(CLI::App& program, const HandedOn& handed)
{
    program.add_subcommand(std::string(handed.command), handed.description)->group("Subcommands of other programs");
}

/// The page of everything that is installed; a command whose program is missing gets its one line.
std::string manPageOfAll(const CLI::App& program)
{
    CLI::App tree(program.get_description(), program.get_name());
    addOwnCommands(tree);
    addProgramOptions(tree);
    std::string others;
    for (const SiblingProgram* sibling : {&runProgramSibling, &viewProgramSibling}) {
        const std::array<std::string, 1> arguments{"--man-commands"};
        const auto path = findSibling(sibling->name);
        if (const auto sections = path ? outputOf(*path, arguments) : std::nullopt) {
            others += *sections;
            continue;
        }
        for (const HandedOn& handed : handedOn) {
            if (handed.program.name == sibling->name) {
                addHandedOn(tree, handed);
            }
        }
    }
    return manPage(tree, others);
}

} // namespace

int main(int argc, char** argv)
{
    if (argc >= 2) {
        const auto* handed = std::ranges::find(handedOn, std::string_view(argv[1]), &HandedOn::command);
        if (handed != handedOn.end()) {
            try {
                executeSibling(handed->program, handed->command,
                    std::span<char* const>(argv + 1, static_cast<std::size_t>(argc - 1)));
            } catch (const Error& error) {
                reportError(error.what());
                return 1;
            }
        }
    }

    CLI::App program("Shows what KV-cache compression throws away.", "kvloupe");
    program.require_subcommand(1);
    program.footer("Every command has --help. Exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted.");
    addOwnCommands(program);
    addProgramOptions(program);
    program
        .add_flag_callback(
            "--man",
            [&program] {
                std::cout << manPageOfAll(program);
                throw CLI::Success();
            },
            "Print the manual page, kvloupe(1)")
        ->group("");
    for (const HandedOn& handed : handedOn) {
        addHandedOn(program, handed);
    }
    return runProgram(program, argc, argv);
}
