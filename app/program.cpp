// SPDX-License-Identifier: GPL-3.0-or-later

#include "app/program.h"

#include "app/help_text.h"
#include "app/man_page.h"
#include "app/version.h"
#include "core/error.h"
#include "core/progress/interrupt.h"

#include <algorithm>
#include <cerrno>
#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <exception>
#include <fmt/format.h>
#include <iostream>
#include <new>
#include <string>
#include <system_error>
#include <vector>

namespace kvloupe {

namespace {

constexpr int failed = 1;
constexpr int wrongUsage = 2;

/// Throws Error unless everything printed so far has left the program.
void flushStandardOutput()
{
    errno = 0;
    std::cout.flush();
    if (!std::cout || std::ferror(stdout) != 0 || std::fflush(stdout) != 0) {
        throw Error(fmt::format(
            "standard output: {}; the output is incomplete", errno == 0 ? "cannot be written" : std::strerror(errno)));
    }
}

/// The command that was being parsed when usage went wrong: its help is the one to read.
std::string commandLineOf(const CLI::App& program)
{
    const auto parsed = program.get_subcommands();
    return parsed.empty() ? program.get_name() : "kvloupe " + parsed.front()->get_name();
}

void reportUsage(const CLI::App& program, std::string message)
{
    reportError(message);
    fmt::print(stderr, "Try '{} --help'.\n", commandLineOf(program));
}

std::string unknownCommand(const CLI::App& program, const std::string& name)
{
    std::vector<std::string> names;
    for (const CLI::App* command :
        program.get_subcommands([](const CLI::App* app) { return !app->get_group().empty(); })) {
        names.push_back(command->get_name());
    }
    return fmt::format("unknown command '{}'; the commands are {}", name, fmt::join(names, ", "));
}

bool isCommand(const CLI::App& program, const std::string& name)
{
    return !program.get_subcommands([&](const CLI::App* app) { return app->get_name() == name; }).empty();
}

} // namespace

void reportError(std::string_view message)
{
    std::string line(message);
    std::ranges::replace(line, '\n', ' ');
    fmt::print(stderr, "kvloupe: error: {}\n", line);
}

void addProgramOptions(CLI::App& program)
{
    program.set_version_flag("--version", fmt::format("{} {}", program.get_name(), programVersion));
    program
        .add_flag_callback(
            "--man-commands",
            [&program] {
                std::cout << manCommands(program);
                throw CLI::Success();
            },
            "Print the commands as sections of a manual page")
        ->group("");
}

int runProgram(CLI::App& program, int argc, char** argv)
{
    std::signal(SIGPIPE, SIG_DFL);
    formatHelp(program);
    try {
        if (argc >= 2 && argv[1][0] != '-' && argv[1][0] != '\0' && !isCommand(program, argv[1])) {
            reportUsage(program, unknownCommand(program, argv[1]));
            return wrongUsage;
        }
        try {
            program.parse(argc, argv);
        } catch (const CLI::Success& success) {
            program.exit(success);
        }
        flushStandardOutput();
        return InterruptGuard::requested() ? interruptedStatus : 0;
    } catch (const CLI::RuntimeError& status) {
        return status.get_exit_code();
    } catch (const CLI::ParseError& error) {
        reportUsage(program, error.what());
        return wrongUsage;
    } catch (const std::bad_alloc&) {
        reportError("out of memory; close other programs, or ask for less at a time");
        return failed;
    } catch (const std::system_error& error) {
        if (std::ferror(stdout) == 0)
            reportError(error.what());
        else // thrown by fmt::print
            reportError(fmt::format("standard output: {}; the output is incomplete", error.code().message()));
        return failed;
    } catch (const std::exception& error) {
        if (InterruptGuard::requested()) {
            fmt::print(stderr, "kvloupe: interrupted\n");
            return interruptedStatus;
        }
        reportError(error.what());
        return failed;
    }
}

} // namespace kvloupe
