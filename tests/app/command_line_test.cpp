// SPDX-License-Identifier: GPL-3.0-or-later
//
// What every command has in common: exit status, messages, help, standard output.

#include "tests/app/program_run.h"
#include "tests/support/make_recording.h"
#include "tests/support/temporary_folder.h"

#include <algorithm>
#include <filesystem>
#include <gmock/gmock.h>
#include <string>
#include <vector>

namespace kvloupe {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;
using ::testing::StartsWith;

const std::vector<std::string> ownCommands{
    "info", "verify", "methods", "replay", "analyze", "summarize", "tokenize", "models"};

std::ptrdiff_t lineCount(const std::string& text)
{
    return std::ranges::count(text, '\n');
}

TEST(CommandLine, PrintsHelpWithAnExampleForEveryCommand)
{
    for (const std::string& command : ownCommands) {
        const ProgramRun run = runBuilt("kvloupe", {command, "--help"});
        EXPECT_EQ(run.status, 0) << command;
        EXPECT_THAT(run.out, HasSubstr("Usage: kvloupe " + command)) << command;
        EXPECT_THAT(run.out, HasSubstr("Example")) << command;
        EXPECT_THAT(run.out, HasSubstr("kvloupe " + command)) << command;
        EXPECT_THAT(run.err, IsEmpty()) << command;
    }
}

TEST(CommandLine, ListsEveryCommandInItsOwnHelp)
{
    const ProgramRun run = runBuilt("kvloupe", {"--help"});
    EXPECT_EQ(run.status, 0);
    for (const std::string& command : ownCommands)
        EXPECT_THAT(run.out, HasSubstr("\n  " + command + " ")) << command;
    for (const char* command : {"capture", "evaluate", "train-adapter", "view", "figure"})
        EXPECT_THAT(run.out, HasSubstr(std::string("\n  ") + command + " ")) << command;
}

TEST(CommandLine, KeepsHelpWithinAHundredColumns)
{
    for (const std::string& command : ownCommands) {
        std::string out = runBuilt("kvloupe", {command, "--help"}).out;
        out.erase(std::min(out.find("\nExample"), out.size())); // examples are lines to copy
        for (std::size_t begin = 0; begin < out.size();) {
            const std::size_t end = std::min(out.find('\n', begin), out.size());
            EXPECT_LE(end - begin, 100U) << out.substr(begin, end - begin);
            begin = end + 1;
        }
    }
}

TEST(CommandLine, SaysItsVersion)
{
    const ProgramRun run = runBuilt("kvloupe", {"--version"});
    EXPECT_EQ(run.status, 0);
    EXPECT_THAT(run.out, MatchesRegex("kvloupe [0-9]+\\.[0-9]+\\.[0-9]+\n"));
}

TEST(CommandLine, RefusesAnUnknownCommandWithStatusTwoAndNamesTheKnown)
{
    const ProgramRun run = runBuilt("kvloupe", {"reply", "x.h5"});
    EXPECT_EQ(run.status, 2);
    EXPECT_THAT(run.err, StartsWith("kvloupe: error: unknown command 'reply'; the commands are info, "));
    EXPECT_THAT(run.err, HasSubstr("replay"));
    EXPECT_THAT(run.out, IsEmpty());
}

TEST(CommandLine, RefusesWrongUsageWithStatusTwoAndPointsToTheHelp)
{
    const std::vector<std::vector<std::string>> wrong{{}, {"--no-such-option"}, {"info"}, {"info", "a", "b"},
        {"verify", "a.h5", "--progress", "dots"}, {"methods", "--xml"}, {"models", "fetch"}};
    for (const auto& arguments : wrong) {
        const ProgramRun run = runBuilt("kvloupe", arguments);
        EXPECT_EQ(run.status, 2) << ::testing::PrintToString(arguments);
        EXPECT_THAT(run.err, StartsWith("kvloupe: error: ")) << ::testing::PrintToString(arguments);
        EXPECT_THAT(run.err, HasSubstr("--help'.\n")) << ::testing::PrintToString(arguments);
        EXPECT_EQ(lineCount(run.err), 2) << run.err;
    }
}

TEST(CommandLine, ReportsAMissingFileInOneLineWithStatusOne)
{
    const TemporaryFolder folder;
    const std::string missing = (folder.path() / "missing.h5").string();
    const std::vector<std::vector<std::string>> commands{{"info", missing}, {"verify", missing},
        {"replay", missing, "--method", "full", "--keep", "1"}, {"tokenize", missing}, {"models", "inspect", missing}};
    for (const auto& arguments : commands) {
        const ProgramRun run = runBuilt("kvloupe", arguments);
        EXPECT_EQ(run.status, 1) << arguments.front();
        EXPECT_THAT(run.err, StartsWith("kvloupe: error: ")) << arguments.front();
        EXPECT_THAT(run.err, HasSubstr("missing.h5")) << arguments.front();
        EXPECT_EQ(lineCount(run.err), 1) << run.err;
        EXPECT_THAT(run.out, IsEmpty()) << arguments.front();
    }
}

TEST(CommandLine, RefusesAFileThatIsNoRecording)
{
    const TemporaryFolder folder;
    const auto file = folder.write("notes.h5", "these are notes, not a recording");
    for (const char* command : {"info", "verify"}) {
        const ProgramRun run = runBuilt("kvloupe", {command, file.string()});
        EXPECT_EQ(run.status, 1) << command;
        EXPECT_THAT(run.err, HasSubstr(file.string())) << command;
        EXPECT_EQ(lineCount(run.err), 1) << run.err;
    }
}

TEST(CommandLine, FailsWhenStandardOutputCannotBeWritten)
{
    if (!std::filesystem::exists("/dev/full"))
        GTEST_SKIP() << "there is no /dev/full here";
    for (const char* command : {"methods", "models"}) {
        ProgramRunOptions options;
        options.outFile = "/dev/full";
        const ProgramRun run = runBuilt("kvloupe", {command}, options);
        EXPECT_EQ(run.status, 1) << command;
        EXPECT_THAT(run.err, StartsWith("kvloupe: error: ")) << command;
        EXPECT_THAT(run.err, HasSubstr("standard output")) << command;
        EXPECT_THAT(run.err, HasSubstr("No space left on device")) << command;
    }
}

TEST(CommandLine, EndsWithoutAWordWhenNobodyReadsItsOutput)
{
    ProgramRunOptions options;
    options.environment["KVLOUPE_PROGRAM"] = std::string(KVLOUPE_BIN_DIR) + "/kvloupe";
    const ProgramRun run = runProgramFile(
        "/bin/sh", {"-c", "for i in 1 2 3 4 5 6 7 8 9; do \"$KVLOUPE_PROGRAM\" methods --json; done | true"}, options);
    EXPECT_EQ(run.status, 0);
    EXPECT_THAT(run.err, IsEmpty());
}

class WithoutSiblings : public ::testing::Test {
protected:
    TemporaryFolder m_folder;
    std::filesystem::path m_program = m_folder.path() / "kvloupe";
    ProgramRunOptions m_options;

    void SetUp() override
    {
        std::filesystem::copy_file(std::filesystem::path(KVLOUPE_BIN_DIR) / "kvloupe", m_program);
        m_options.environment["PATH"] = (m_folder.path() / "path").string();
    }

    void writeScript(const std::filesystem::path& name, const std::string& text) const
    {
        const auto file = m_folder.write(name, text);
        std::filesystem::permissions(file, std::filesystem::perms::owner_all);
    }
};

TEST_F(WithoutSiblings, NamesThePackageAndTheBuildOption)
{
    for (const auto& [command, package, option] :
        {std::array{"capture", "kvloupe-run", "KVLOUPE_CAPTURE"}, std::array{"view", "kvloupe-view", "KVLOUPE_VIEW"},
            std::array{"figure", "kvloupe-view", "KVLOUPE_VIEW"}}) {
        for (const char* argument : {"--help", "x"}) {
            const ProgramRun run = runProgramFile(m_program, {command, argument}, m_options);
            EXPECT_EQ(run.status, 1) << command;
            EXPECT_THAT(run.err, StartsWith(std::string("kvloupe: error: ") + command + ": "));
            EXPECT_THAT(run.err, HasSubstr(std::string("install the package ") + package));
            EXPECT_THAT(run.err, HasSubstr(option));
            EXPECT_EQ(lineCount(run.err), 1) << run.err;
        }
    }
}

TEST_F(WithoutSiblings, StillPrintsAManualPageWithEveryCommand)
{
    const ProgramRun run = runProgramFile(m_program, {"--man"}, m_options);
    EXPECT_EQ(run.status, 0);
    for (const char* command : {"info", "replay", "capture", "evaluate", "train\\-adapter", "view", "figure"})
        EXPECT_THAT(run.out, HasSubstr(std::string(".SS ") + command + "\n")) << command;
}

TEST_F(WithoutSiblings, HandsTheWholeCommandLineToTheProgramBesideIt)
{
    writeScript("kvloupe-run", "#!/bin/sh\nfor a in \"$@\"; do echo \"[$a]\"; done\nexit 7\n");
    const ProgramRun run
        = runProgramFile(m_program, {"capture", "model", "--prompt", "two words; $HOME", "--help"}, m_options);
    EXPECT_EQ(run.status, 7);
    EXPECT_EQ(run.out, "[capture]\n[model]\n[--prompt]\n[two words; $HOME]\n[--help]\n");
}

TEST_F(WithoutSiblings, PrefersTheProgramBesideItAndFallsBackToPath)
{
    writeScript("path/kvloupe-view", "#!/bin/sh\necho from path\n");
    EXPECT_EQ(runProgramFile(m_program, {"view"}, m_options).out, "from path\n");
    writeScript("kvloupe-view", "#!/bin/sh\necho from beside\n");
    EXPECT_EQ(runProgramFile(m_program, {"view"}, m_options).out, "from beside\n");
}

} // namespace
} // namespace kvloupe
