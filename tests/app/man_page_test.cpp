// SPDX-License-Identifier: GPL-3.0-or-later

#include "app/man_page.h"

#include "app/commands/info_command.h"
#include "app/commands/methods_command.h"
#include "app/commands/models_command.h"
#include "app/commands/replay_command.h"
#include "app/commands/tokenize_command.h"
#include "app/commands/verify_command.h"
#include "app/program.h"
#include "tests/app/program_run.h"
#include "tests/support/temporary_folder.h"

#include <CLI/CLI.hpp>
#include <gmock/gmock.h>
#include <string>

namespace kvloupe {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

/// As roff writes it.
std::string escaped(std::string_view text)
{
    std::string result;
    for (const char letter : text)
        result += letter == '-' ? "\\-" : letter == '`' ? "\\(ga" : std::string(1, letter);
    return result;
}

/// The part of a page from `.SS command` to the next heading.
std::string sectionOf(const std::string& page, const std::string& command)
{
    const auto begin = page.find(".SS " + command + "\n");
    return begin == std::string::npos ? std::string() : page.substr(begin, page.find("\n.S", begin + 1) - begin);
}

void addCommands(CLI::App& program)
{
    addInfoCommand(program);
    addVerifyCommand(program);
    addMethodsCommand(program);
    addReplayCommand(program);
    addTokenizeCommand(program);
    addModelsCommand(program);
    addProgramOptions(program);
}

void expectOptions(const std::string& section, const CLI::App& command)
{
    for (const CLI::Option* option : command.get_options()) {
        for (const std::string& name : option->get_lnames())
            EXPECT_THAT(section, HasSubstr("\\fB" + escaped("--" + name) + "\\fR")) << command.get_name();
        EXPECT_THAT(section, HasSubstr(escaped(option->get_description().substr(0, 20)))) << command.get_name();
    }
}

TEST(ManPage, HasEveryCommandAndOptionOfTheTree)
{
    CLI::App program("Shows what KV-cache compression throws away.", "kvloupe");
    addCommands(program);
    const std::string page = manPage(program, "");
    const auto commands = program.get_subcommands([](const CLI::App*) { return true; });
    ASSERT_EQ(commands.size(), 6U);
    for (const CLI::App* command : commands) {
        const std::string section = sectionOf(page, command->get_name());
        ASSERT_THAT(section, Not(IsEmpty())) << command->get_name();
        expectOptions(section, *command);
        for (const CLI::App* nested : command->get_subcommands([](const CLI::App*) { return true; })) {
            EXPECT_THAT(section, HasSubstr("kvloupe " + command->get_name() + " " + nested->get_name()));
            expectOptions(section, *nested);
        }
    }
}

TEST(ManPage, LeavesHiddenOptionsOut)
{
    EXPECT_THAT(runBuilt("kvloupe", {"--man"}).out, Not(HasSubstr("man\\-commands")));
}

TEST(ManPage, OfTheBuiltProgramHoldsTheCommandsOfAllPrograms)
{
    const ProgramRun run = runBuilt("kvloupe", {"--man"});
    ASSERT_EQ(run.status, 0);
    EXPECT_THAT(run.out, ::testing::StartsWith(".TH KVLOUPE 1 "));
    for (const char* command : {"info", "verify", "methods", "replay", "analyze", "summarize", "tokenize", "models",
             "capture", "evaluate", "train\\-adapter", "view", "figure"})
        EXPECT_THAT(sectionOf(run.out, command), Not(IsEmpty())) << command;
    if (isBuilt("kvloupe-run")) {
        EXPECT_THAT(sectionOf(run.out, "capture"), HasSubstr("\\-\\-prompt\\-file"));
    }
    if (isBuilt("kvloupe-view")) {
        EXPECT_THAT(sectionOf(run.out, "figure"), HasSubstr("\\-\\-out"));
    }
}

TEST(ManPage, GivesGroffNothingToWarnAbout)
{
    const std::filesystem::path groff = "/usr/bin/groff";
    if (!std::filesystem::exists(groff))
        GTEST_SKIP() << "groff is not installed";
    const TemporaryFolder folder;
    const auto page = folder.write("kvloupe.1", runBuilt("kvloupe", {"--man"}).out);
    const ProgramRun run = runProgramFile(groff, {"-man", "-ww", "-Tutf8", "-rLL=100n", "-P-cbu", page.string()});
    EXPECT_EQ(run.status, 0);
    EXPECT_THAT(run.err, IsEmpty());
    EXPECT_THAT(run.out, HasSubstr("EXIT STATUS"));
}

TEST(ManPage, KeepsDotsAndBackslashesOfTheText)
{
    CLI::App program("x", "kvloupe");
    CLI::App* command = program.add_subcommand("dots", ".hidden files and \\d+ 'quoted'");
    command->footer("Example:\n  .first");
    const std::string page = manCommands(program);
    EXPECT_THAT(page, HasSubstr("\n\\&.hidden files and \\ed+ \\(aqquoted\\(aq\n"));
}

} // namespace
} // namespace kvloupe
