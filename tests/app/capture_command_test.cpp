// SPDX-License-Identifier: GPL-3.0-or-later
//
// From a prompt to kept sets through the real programs and the real model.

#include "tests/app/program_run.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/test_model.h"

#include <fstream>
#include <gmock/gmock.h>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

namespace kvloupe {
namespace {

using Json = nlohmann::json;
using ::testing::HasSubstr;
using ::testing::StartsWith;

#define SKIP_WITHOUT_CAPTURE()                                                                                         \
    do {                                                                                                               \
        if (!isBuilt("kvloupe-run"))                                                                                   \
            GTEST_SKIP() << "kvloupe-run was not built (KVLOUPE_CAPTURE)";                                             \
    } while (false)

std::string fileText(const std::filesystem::path& path)
{
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

TEST(CaptureCommand, ShowsItsHelpThroughKvloupe)
{
    SKIP_WITHOUT_CAPTURE();
    const ProgramRun run = runBuilt("kvloupe", {"capture", "--help"});
    EXPECT_EQ(run.status, 0) << run.err;
    EXPECT_THAT(run.out, HasSubstr("Usage: kvloupe capture"));
    EXPECT_THAT(run.out, HasSubstr("--prompt-file"));
    EXPECT_THAT(run.out, HasSubstr("Example"));
}

TEST(CaptureCommand, RefusesWrongUsageWithStatusTwo)
{
    SKIP_WITHOUT_CAPTURE();
    const ProgramRun run = runBuilt("kvloupe", {"capture", "model", "--out", "r.h5", "--record", "everything"});
    EXPECT_EQ(run.status, 2);
    EXPECT_THAT(run.err, HasSubstr("everything"));
    EXPECT_THAT(run.err, HasSubstr("Try 'kvloupe capture --help'."));
}

TEST(CaptureCommand, ReportsAModelThatIsNotThereInOneLine)
{
    SKIP_WITHOUT_CAPTURE();
    const TemporaryFolder folder;
    const ProgramRun run = runBuilt("kvloupe",
        {"capture", (folder.path() / "no.gguf").string(), "--prompt", "Hello", "--out",
            (folder.path() / "r.h5").string()});
    EXPECT_EQ(run.status, 1);
    EXPECT_THAT(run.err, StartsWith("kvloupe: error: "));
    EXPECT_THAT(run.err, HasSubstr("no.gguf"));
    EXPECT_EQ(std::ranges::count(run.err, '\n'), 1) << run.err;
    EXPECT_FALSE(std::filesystem::exists(folder.path() / "r.h5"));
}

TEST(CaptureCommand, RecordsAPromptThatInfoVerifyAndReplayRead)
{
    SKIP_WITHOUT_CAPTURE();
    KVLOUPE_SKIP_WITHOUT_TEST_MODEL();
    const TemporaryFolder folder;
    const std::string recording = (folder.path() / "r.h5").string();
    const ProgramRun capture = runBuilt("kvloupe",
        {"capture", testModelPath().string(), "--prompt", "The capital of France is", "--generate", "4", "--record",
            "full", "--out", recording, "--progress", "json"});
    ASSERT_EQ(capture.status, 0) << capture.err;
    std::istringstream lines(capture.err);
    int events = 0;
    for (std::string line; std::getline(lines, line);)
        events += line.starts_with('{') && Json::parse(line)["event"] == "progress" ? 1 : 0;
    EXPECT_GT(events, 0) << capture.err;

    const Json info = Json::parse(runBuilt("kvloupe", {"info", recording, "--json"}).out);
    EXPECT_EQ(info["samples"][0]["prompt_tokens"], 5);
    EXPECT_EQ(info["samples"][0]["total_tokens"], 9);
    EXPECT_EQ(info["samples"][0]["maps"], 270);
    EXPECT_THAT(
        info["command"].get<std::string>(), ::testing::Not(HasSubstr("France"))); // prompts are nobody's business
    EXPECT_EQ(runBuilt("kvloupe", {"verify", recording}).status, 0);
    const ProgramRun replay = runBuilt("kvloupe", {"replay", recording, "--method", "h2o", "--capacity", "2"});
    ASSERT_EQ(replay.status, 0) << replay.err;
    EXPECT_EQ(Json::parse(replay.out)["kept"]["29"]["2"].size(), 2U);
}

TEST(CaptureCommand, TakesTheBundledFewShotPromptAsSevenHundredAndTwelveTokens)
{
    KVLOUPE_SKIP_WITHOUT_TEST_MODEL();
    const TemporaryFolder folder;
    const Json text = fileText(std::filesystem::path(KVLOUPE_TEST_DATA) / "fewshot_712.txt");
    const auto lines = folder.write("prompt.jsonl", text.dump() + "\n");
    const ProgramRun run = runBuilt("kvloupe", {"tokenize", testModelPath().string(), "--json-lines", lines.string()});
    ASSERT_EQ(run.status, 0) << run.err;
    EXPECT_EQ(Json::parse(run.out).size(), 712U);
}

TEST(CaptureCommand, StopsWithStatus130WhenInterruptedAndLeavesNoBrokenFile)
{
    SKIP_WITHOUT_CAPTURE();
    KVLOUPE_SKIP_WITHOUT_TEST_MODEL();
    const TemporaryFolder folder;
    const auto recording = folder.path() / "r.h5";
    std::string lines;
    for (int sample = 0; sample < 50; ++sample)
        lines += Json{{"id", std::to_string(sample)},
                     {"text", fileText(std::string(KVLOUPE_TEST_DATA) + "/fewshot_712.txt")}}
                     .dump()
            + "\n";
    const auto file = folder.write("prompts.jsonl", lines);
    ProgramRunOptions options;
    const std::string parts = recording.string() + ".parts";
    options.interruptWhen = [&] { return std::filesystem::exists(parts + "/000000.h5"); };
    const ProgramRun run = runBuilt("kvloupe",
        {"capture", testModelPath().string(), "--prompts", file.string(), "--record", "stats", "--out",
            recording.string(), "--progress", "none"},
        options);
    EXPECT_EQ(run.status, 130) << run.err;
    EXPECT_FALSE(std::filesystem::exists(recording)); // it is not complete
    const ProgramRun info = runBuilt("kvloupe", {"info", parts, "--json"});
    ASSERT_EQ(info.status, 0) << info.err;
    EXPECT_GE(Json::parse(info.out)["samples"].size(), 1U);
    EXPECT_LT(Json::parse(info.out)["samples"].size(), 50U);
    EXPECT_EQ(runBuilt("kvloupe", {"verify", parts}).status, 0);
}

} // namespace
} // namespace kvloupe
