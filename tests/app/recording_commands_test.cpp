// SPDX-License-Identifier: GPL-3.0-or-later
//
// info, verify and replay on a small synthetic recording, as a person or a script would use them.

#include "tests/app/program_run.h"
#include "tests/support/make_recording.h"
#include "tests/support/temporary_folder.h"

#include <algorithm>
#include <fstream>
#include <gmock/gmock.h>
#include <nlohmann/json.hpp>
#include <numeric>
#include <sstream>
#include <string>
#include <vector>

namespace kvloupe {
namespace {

using Json = nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

constexpr std::int64_t promptTokens = 100;
constexpr std::int64_t generatedTokens = 6;

class RecordingCommands : public ::testing::Test {
protected:
    static void SetUpTestSuite()
    {
        folder = std::make_unique<TemporaryFolder>();
        SyntheticRecording options;
        options.promptTokens = promptTokens;
        options.generatedTokens = generatedTokens;
        options.samples = 2;
        makeRecording(file(), options);
    }
    static void TearDownTestSuite() { folder.reset(); }

    static std::string file() { return (folder->path() / "rec.h5").string(); }

    static ProgramRun replay(std::vector<std::string> arguments)
    {
        arguments.insert(arguments.begin(), {"replay", file()});
        return runBuilt("kvloupe", arguments);
    }

    static std::vector<Json> jsonLines(const std::string& text)
    {
        std::vector<Json> result;
        std::istringstream lines(text);
        for (std::string line; std::getline(lines, line);)
            result.push_back(Json::parse(line));
        return result;
    }

    static std::unique_ptr<TemporaryFolder> folder; // one recording serves all tests
};

std::unique_ptr<TemporaryFolder> RecordingCommands::folder;

std::vector<int> sinksAndRecent(int tokens, int sinks, int kept)
{
    std::vector<int> result(static_cast<std::size_t>(kept));
    std::iota(result.begin(), result.begin() + sinks, 0);
    std::iota(result.begin() + sinks, result.end(), tokens - (kept - sinks));
    return result;
}

TEST_F(RecordingCommands, InfoShowsSamplesAndSizes)
{
    const ProgramRun run = runBuilt("kvloupe", {"info", file()});
    EXPECT_EQ(run.status, 0) << run.err;
    EXPECT_THAT(run.out, HasSubstr("2 layers, 4 heads, 2 KV heads of 64 dimensions"));
    EXPECT_THAT(run.out, HasSubstr("attention"));
    EXPECT_THAT(run.err, IsEmpty());
}

TEST_F(RecordingCommands, InfoAsJsonAgreesWithTheRecording)
{
    const ProgramRun run = runBuilt("kvloupe", {"info", file(), "--json"});
    ASSERT_EQ(run.status, 0) << run.err;
    const Json info = Json::parse(run.out);
    EXPECT_EQ(info["model"]["num_kv_heads"], 2);
    EXPECT_EQ(info["bytes_on_disk"], std::filesystem::file_size(file()));
    ASSERT_EQ(info["samples"].size(), 2U);
    EXPECT_EQ(info["samples"][1]["prompt_tokens"], promptTokens);
    EXPECT_EQ(info["samples"][1]["total_tokens"], promptTokens + generatedTokens);
    EXPECT_EQ(info["samples"][1]["record"], "full");
    EXPECT_EQ(info["samples"][1]["maps"], 8);
    EXPECT_EQ(
        info["stored"]["attention"]["raw_bytes"], 2 * 8 * promptTokens * promptTokens * 2); // samples, maps, halves
}

TEST_F(RecordingCommands, VerifyAcceptsAWholeRecording)
{
    const ProgramRun run = runBuilt("kvloupe", {"verify", file()});
    EXPECT_EQ(run.status, 0) << run.err;
    EXPECT_THAT(run.out, HasSubstr("no problems"));
}

TEST_F(RecordingCommands, VerifyNamesWhatIsDamagedAndFails)
{
    // Damage in the middle of the largest stretch of the file hits some chunk.
    const auto damaged = folder->path() / "damaged.h5";
    std::filesystem::copy_file(file(), damaged, std::filesystem::copy_options::overwrite_existing);
    std::fstream stream(damaged, std::ios::in | std::ios::out | std::ios::binary);
    const auto size = static_cast<std::streamoff>(std::filesystem::file_size(damaged));
    for (std::streamoff at = size / 4; at < size * 3 / 4; at += 4099) {
        stream.seekg(at);
        const auto byte = static_cast<char>(stream.get() ^ 0x5A);
        stream.seekp(at);
        stream.put(byte);
    }
    stream.close();
    const ProgramRun run = runBuilt("kvloupe", {"verify", damaged.string()});
    EXPECT_EQ(run.status, 1);
    EXPECT_THAT(run.err, StartsWith("kvloupe: error: "));
    EXPECT_THAT(run.err, HasSubstr("damaged.h5"));
    EXPECT_EQ(std::ranges::count(run.err, '\n'), 1) << run.err;
}

TEST_F(RecordingCommands, ReplayPrintsOneObjectPerSampleMethodAndBudget)
{
    const ProgramRun run
        = replay({"--method", "streaming_llm", "--method", "snapkv:window=8", "--keep", "0.1,0.29", "--json"});
    ASSERT_EQ(run.status, 0) << run.err;
    const std::vector<Json> lines = jsonLines(run.out);
    ASSERT_EQ(lines.size(), 8U);
    for (const Json& line : lines) {
        EXPECT_EQ(line["realised"]["0"]["0"], line["keep"] == 0.1 ? 10 : 29) << line["method"];
        EXPECT_EQ(line["kept"]["1"]["1"].size(), line["realised"]["1"]["1"]) << line["method"];
        EXPECT_EQ(line["retained_mass"].size(), 2U) << line["method"];
        for (const auto& mass : line["retained_mass"]["0"]) {
            EXPECT_GT(mass, 0.0);
            EXPECT_LE(mass, 1.0);
        }
    }
    EXPECT_EQ(lines[0]["sample"], 0);
    EXPECT_EQ(lines[0]["method"], "streaming_llm");
    EXPECT_EQ(lines[0]["kept"]["1"]["0"], Json(sinksAndRecent(100, 4, 10)));
    EXPECT_EQ(lines[2]["parameters"]["window"], "8");
    EXPECT_EQ(lines[7]["sample"], 1);
}

TEST_F(RecordingCommands, ReplayTakesBudgetsOfAllThreeKinds)
{
    for (const auto& [option, value, kept] : {std::tuple{"--keep", "0.25", 25}, std::tuple{"--capacity", "17", 17},
             std::tuple{"--compression-ratio", "0.4", 60}}) {
        const ProgramRun run = replay({"--method", "h2o", option, value, "--sample", "0"});
        ASSERT_EQ(run.status, 0) << run.err;
        EXPECT_EQ(jsonLines(run.out).at(0)["realised"]["1"]["1"], kept) << option;
    }
}

TEST_F(RecordingCommands, ReplayWritesCsvWithAHeader)
{
    const ProgramRun run = replay({"--method", "streaming_llm", "--capacity", "5", "--csv", "--sample", "1"});
    ASSERT_EQ(run.status, 0) << run.err;
    std::istringstream lines(run.out);
    std::string header;
    std::getline(lines, header);
    EXPECT_THAT(header, StartsWith("sample,"));
    const auto columns = std::ranges::count(header, ',');
    int count = 0;
    for (std::string line; std::getline(lines, line); ++count) {
        EXPECT_THAT(line, StartsWith("1,"));
        EXPECT_EQ(std::ranges::count(line, ','), columns) << line;
        EXPECT_THAT(line, ::testing::EndsWith(",0 1 2 3 99")) << line;
    }
    EXPECT_EQ(count, 4); // 2 layers x 2 KV heads
}

TEST_F(RecordingCommands, ReplayShowsTheCacheWhileDecoding)
{
    const ProgramRun end
        = replay({"--method", "streaming_llm@paper", "--capacity", "10", "--at", "end", "--sample", "0"});
    ASSERT_EQ(end.status, 0) << end.err;
    EXPECT_EQ(jsonLines(end.out).at(0)["kept"]["0"]["0"], Json(sinksAndRecent(106, 4, 10)));
    EXPECT_EQ(jsonLines(end.out).at(0)["at"], "end");

    const ProgramRun step
        = replay({"--method", "streaming_llm@paper", "--capacity", "10", "--at", "step:2", "--sample", "0"});
    ASSERT_EQ(step.status, 0) << step.err;
    EXPECT_EQ(jsonLines(step.out).at(0)["kept"]["0"]["0"], Json(sinksAndRecent(102, 4, 10)));

    const ProgramRun beyond = replay({"--method", "full", "--keep", "1", "--at", "step:7"});
    EXPECT_EQ(beyond.status, 1);
    EXPECT_THAT(beyond.err, HasSubstr("6"));
}

TEST_F(RecordingCommands, ReplayAddsTimelinesAndScoresWhenAsked)
{
    const ProgramRun run = replay({"--method", "streaming_llm@paper", "--method", "h2o", "--capacity", "10",
        "--timeline", "--explain", "--sample", "0"});
    ASSERT_EQ(run.status, 0) << run.err;
    const std::vector<Json> lines = jsonLines(run.out);
    ASSERT_EQ(lines.size(), 2U);
    const Json& evicted = lines[0]["timeline"]["0"]["0"]["evicted_at"];
    ASSERT_EQ(evicted.size(), promptTokens + generatedTokens);
    EXPECT_EQ(evicted[0], -1); // a sink stays
    EXPECT_EQ(evicted[50], 0); // cut after the prefill
    EXPECT_EQ(evicted[94], 1); // the first token pushes out the oldest of the window
    EXPECT_EQ(evicted[105], -1);
    const Json& sliding = lines[0]["explanation"]["0"]["0"];
    EXPECT_EQ(sliding["guard"][0], "sink");
    EXPECT_EQ(sliding["guard"][50], "none");
    EXPECT_EQ(sliding["guard"][99], "recent");
    EXPECT_TRUE(sliding["score"][0].is_null()) << "StreamingLLM ranks nothing";
    const Json& heavy = lines[1]["explanation"]["1"]["1"];
    ASSERT_EQ(heavy["score"].size(), promptTokens);
    EXPECT_EQ(heavy["realised"], 10);
    EXPECT_EQ(heavy["guarded"], 5) << "half of the budget is recent";
    for (std::size_t token = 0; token + 5 < promptTokens; ++token)
        EXPECT_EQ(heavy["kept"][token].get<bool>(), heavy["score"][token] >= heavy["threshold"]) << token;
    EXPECT_FALSE(heavy.contains("kept_without_pooling"));
}

TEST_F(RecordingCommands, ReplayTakesSpansFromAFileAndSaysWhatIsWrongWithThem)
{
    const auto good = folder->write("spans.json", R"({"spans":[{"begin":0,"end":40,"kind":"shot","shot":0}]})");
    EXPECT_EQ(replay({"--method", "full", "--keep", "1", "--spans", good.string()}).status, 0);
    for (const auto& [text, message] : {std::pair{R"([{"begin":0,"end":400,"kind":"shot"}])", "400"},
             std::pair{R"([{"begin":5,"end":4,"kind":"shot"}])", "\"end\": found 4"},
             std::pair{R"([{"begin":0,"end":4,"kind":"shoot"}])", "expected one of bos, system"},
             std::pair{R"([{"begin":-1,"end":4,"kind":"shot"}])", "\"begin\": found -1"},
             std::pair{R"([{"end":4,"kind":"shot"}])", "no field \"begin\""},
             std::pair{R"({"span":[]})", "expected a list"}, std::pair{"[", "not valid JSON"}}) {
        const auto bad = folder->write("bad.json", text);
        const ProgramRun run = replay({"--method", "full", "--keep", "1", "--spans", bad.string()});
        EXPECT_EQ(run.status, 1) << text;
        EXPECT_THAT(run.err, HasSubstr(message)) << text;
        EXPECT_EQ(std::ranges::count(run.err, '\n'), 1) << run.err;
    }
}

TEST_F(RecordingCommands, ReplayRefusesWrongBudgetsMethodsAndMomentsAsUsage)
{
    const std::vector<std::pair<std::vector<std::string>, std::string>> wrong{
        {{"--method", "full"}, "exactly one of --keep, --capacity and --compression-ratio"},
        {{"--method", "full", "--keep", "0.5", "--capacity", "5"}, "exactly one"},
        {{"--method", "full", "--keep", "1.5"}, "1.5"},
        {{"--method", "full", "--keep", "0"}, "0"},
        {{"--method", "full", "--keep", "0.5,nan"}, "nan"},
        {{"--method", "full", "--capacity", "-3"}, "-3"},
        {{"--method", "full", "--compression-ratio", "1"}, "1"},
        {{"--keep", "0.5"}, "--method"},
        {{"--method", "snapvk", "--keep", "0.5"}, "snapkv"}, // the nearest name is offered
        {{"--method", "snapkv@kvpres", "--keep", "0.5"}, "kvpress"},
        {{"--method", "snapkv:windw=3", "--keep", "0.5"}, "window"},
        {{"--method", "full", "--keep", "0.5", "--at", "step:x"}, "step:N"},
        {{"--method", "full", "--keep", "0.5", "--csv", "--timeline"}, "--timeline"},
    };
    for (const auto& [arguments, message] : wrong) {
        const ProgramRun run = replay(arguments);
        EXPECT_EQ(run.status, 2) << ::testing::PrintToString(arguments);
        EXPECT_THAT(run.err, HasSubstr(message)) << ::testing::PrintToString(arguments);
        EXPECT_THAT(run.out, IsEmpty());
    }
}

TEST_F(RecordingCommands, ReplayNamesASampleThatIsNotThere)
{
    const ProgramRun run = replay({"--method", "full", "--keep", "1", "--sample", "gsm8k-17"});
    EXPECT_EQ(run.status, 1);
    EXPECT_THAT(run.err, HasSubstr("gsm8k-17"));
}

TEST_F(RecordingCommands, OpenAFolderOfPartsAsWell)
{
    SyntheticRecording options;
    options.promptTokens = 40;
    options.merge = false;
    const auto growing = folder->path() / "growing.h5";
    makeRecording(growing, options);
    const std::string parts = growing.string() + ".parts";
    const ProgramRun info = runBuilt("kvloupe", {"info", parts, "--json"});
    ASSERT_EQ(info.status, 0) << info.err;
    EXPECT_EQ(Json::parse(info.out)["partial"], true);
    EXPECT_EQ(runBuilt("kvloupe", {"verify", parts}).status, 0);
}

TEST(MethodsCommand, ListsEveryMethodWithParametersAsJson)
{
    const ProgramRun run = runBuilt("kvloupe", {"methods", "--json"});
    ASSERT_EQ(run.status, 0) << run.err;
    const Json methods = Json::parse(run.out);
    std::vector<std::string> names;
    for (const Json& method : methods)
        names.push_back(method["name"]);
    EXPECT_THAT(names, ::testing::IsSupersetOf({"full", "streaming_llm", "h2o", "snapkv", "random"}));
    const auto snapkv = std::ranges::find(methods, Json("snapkv"), [](const Json& method) { return method["name"]; });
    EXPECT_THAT((*snapkv)["evidence"], ElementsAre("last 32 rows"));
    EXPECT_EQ((*snapkv)["fidelity"], "exact");
}

TEST(MethodsCommand, ShowsOneMethodOnly)
{
    const ProgramRun run = runBuilt("kvloupe", {"methods", "snapkv"});
    EXPECT_EQ(run.status, 0);
    EXPECT_THAT(run.out, StartsWith("snapkv (SnapKV)"));
    EXPECT_THAT(run.out, HasSubstr("@kvpress"));
    EXPECT_THAT(run.out, ::testing::Not(HasSubstr("streaming_llm")));
    EXPECT_EQ(runBuilt("kvloupe", {"methods", "snapvk"}).status, 1);
}

} // namespace
} // namespace kvloupe
