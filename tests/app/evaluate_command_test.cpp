// SPDX-License-Identifier: GPL-3.0-or-later
//
// Live compressed runs through the real programs, on a model of random weights that reads any text.

#include "core/results/result_file.h"
#include "core/results/result_row.h"
#include "tests/app/program_run.h"
#include "tests/support/byte_llama.h"
#include "tests/support/test_model.h"

#include <fstream>
#include <gmock/gmock.h>
#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <string>
#include <thread>

namespace kvloupe {
namespace {

using Json = nlohmann::json;
using ::testing::HasSubstr;

class EvaluateCommand : public testing::Test {
protected:
    void SetUp() override
    {
        if (!isBuilt("kvloupe-run"))
            GTEST_SKIP() << "kvloupe-run was not built (KVLOUPE_CAPTURE)";
        writeByteLlama(folder);
    }

    std::vector<std::string> command(const std::vector<std::string>& more = {}) const
    {
        std::vector<std::string> arguments{"evaluate", folder.path().string(), "--suite", "fundamental", "--method",
            "snapkv", "--method", "streaming_llm", "--keep", "0.5,0.2", "--max-new-tokens", "4", "--out",
            results.string(), "--progress", "none"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        return arguments;
    }

    /// The rows of complete samples as readers see them, without their times: a kill in the middle of a write may leave
    /// a part of a sample in the file, which is then written again whole.
    std::vector<std::string> rows() const
    {
        const ResultFile file = readResults(results);
        EXPECT_EQ(file.runs.size(), 1U);
        EXPECT_EQ(file.runs.front().incompleteRows, 0);
        std::vector<std::string> result;
        for (const ResultRow& row : file.runs.front().rows)
            result.push_back(withoutTimes(resultLine(row)).dump());
        return result;
    }

    TemporaryFolder folder;
    std::filesystem::path results = folder.path() / "results.jsonl";
};

TEST_F(EvaluateCommand, PrintsTheTableThatSummarizePrints)
{
    const ProgramRun run = runBuilt("kvloupe", command({"--task", "wk,ar", "--samples", "2"}));
    ASSERT_EQ(run.status, 0) << run.err;
    const ProgramRun summary = runBuilt("kvloupe", {"summarize", results.string()});
    ASSERT_EQ(summary.status, 0) << summary.err;
    EXPECT_THAT(run.out, testing::StartsWith(summary.out));
    EXPECT_THAT(run.out, HasSubstr("4 samples measured"));
    EXPECT_THAT(summary.out, HasSubstr("snapkv"));
    EXPECT_EQ(readResults(results).runs.front().rows.size(), 4U * 5U);
}

TEST_F(EvaluateCommand, GivesTheRowsOfAnUndisturbedRunHoweverOftenItIsKilled)
{
    const std::vector<std::string> tasks{"--task", "csr,ar", "--samples", "10", "--json"};
    ASSERT_EQ(runBuilt("kvloupe", command(tasks)).status, 0);
    const std::vector<std::string> undisturbed = rows();
    const auto bytes = std::filesystem::file_size(results);
    ASSERT_EQ(undisturbed.size(), 20U * 5U);
    std::filesystem::remove(results);

    std::vector<std::string> resuming = command(tasks);
    resuming.emplace_back("--resume");
    std::mt19937 random(7);
    int kills = 0;
    ProgramRun run;
    while (kills < 40) {
        ProgramRunOptions options;
        options.interruptWith = SIGKILL;
        // Some way into what is missing, at any point of a sample.
        std::error_code none;
        const auto there = std::filesystem::exists(results, none) ? std::filesystem::file_size(results) : 0;
        const auto target = there + std::uniform_int_distribution<std::uintmax_t>(0, bytes / 4)(random);
        const std::chrono::milliseconds pause(std::uniform_int_distribution<int>(0, 40)(random));
        options.interruptWhen = [&] {
            std::error_code error;
            if (const auto size = std::filesystem::file_size(results, error); error || size < target || size == 0)
                return false;
            std::this_thread::sleep_for(pause);
            return true;
        };
        run = runBuilt("kvloupe", resuming, options);
        if (run.status == 0)
            break;
        ASSERT_EQ(run.status, 128 + SIGKILL) << run.err;
        ++kills;
    }
    ASSERT_EQ(run.status, 0) << run.err;
    EXPECT_GE(kills, 2);
    EXPECT_EQ(rows(), undisturbed);
    EXPECT_EQ(Json::parse(run.out)["samples"].get<int>() + Json::parse(run.out)["resumed"].get<int>(), 20);
}

TEST_F(EvaluateCommand, StopsWithStatus130WhenInterruptedAndKeepsFinishedSamples)
{
    ProgramRunOptions options;
    options.interruptWhen = [&] {
        std::error_code error;
        return std::filesystem::file_size(results, error) > 20'000 && !error;
    };
    const ProgramRun run = runBuilt("kvloupe", command({"--task", "ar", "--samples", "300"}), options);
    EXPECT_EQ(run.status, 130) << run.err;
    const ResultFile file = readResults(results);
    EXPECT_EQ(file.tornBytes, 0);
    EXPECT_EQ(file.runs.front().incompleteRows, 0);
    EXPECT_GE(file.runs.front().rows.size(), 5U);
    EXPECT_LT(file.runs.front().rows.size(), 300U * 5U);
}

TEST_F(EvaluateCommand, RefusesResultsOfOtherParametersInOneLine)
{
    ASSERT_EQ(runBuilt("kvloupe", command({"--task", "wk", "--samples", "1"})).status, 0);
    const ProgramRun other
        = runBuilt("kvloupe", command({"--task", "wk", "--samples", "1", "--seed", "3", "--resume"}));
    EXPECT_EQ(other.status, 1);
    EXPECT_THAT(other.err, HasSubstr("seed: found 0, expected 3"));
    const ProgramRun again = runBuilt("kvloupe", command({"--task", "wk", "--samples", "1"}));
    EXPECT_EQ(again.status, 1);
    EXPECT_THAT(again.err, HasSubstr("results.jsonl"));
    EXPECT_EQ(std::ranges::count(again.err, '\n'), 1) << again.err;
}

TEST_F(EvaluateCommand, RefusesWrongUsageWithStatusTwo)
{
    const auto refused = [&](const std::vector<std::string>& more, const std::string& reason) {
        const ProgramRun run = runBuilt("kvloupe", command(more));
        EXPECT_EQ(run.status, 2) << run.err;
        EXPECT_THAT(run.err, HasSubstr(reason));
    };
    refused({"--task", "arr"}, "did you mean");
    refused({"--method", "snapkw"}, "snapkv");
    refused({"--capacity", "30"}, "exactly one");
    refused({"--first-token", "second"}, "second");
    refused({"--batch-memory", "lots"}, "900M");
    refused({"--resume", "--overwrite"}, "excludes");
    EXPECT_FALSE(std::filesystem::exists(results));
}

TEST_F(EvaluateCommand, SaysWhatADeviceLacksBeforeAnythingIsWritten)
{
    const ProgramRun cpu = runBuilt("kvloupe", command({"--task", "wk", "--samples", "1", "--dtype", "bf16"}));
    EXPECT_EQ(cpu.status, 1);
    EXPECT_THAT(cpu.err, HasSubstr("the CPU computes in float32 alone"));
    EXPECT_FALSE(std::filesystem::exists(results));
    const ProgramRun run = runBuilt("kvloupe", command({"--task", "wk", "--samples", "1", "--device", "cuda"}));
    if (run.status == 0)
        GTEST_SKIP() << "there is a GPU";
    EXPECT_EQ(run.status, 1);
    EXPECT_THAT(run.err, HasSubstr("device cuda: "));
    EXPECT_EQ(std::ranges::count(run.err, '\n'), 1) << run.err;
    EXPECT_FALSE(std::filesystem::exists(results));
}

TEST_F(EvaluateCommand, NamesDataFilesThatAreNotWhatTheyShouldBe)
{
    const auto refused = [&](const std::string& content, const std::string& reason) {
        const auto file = folder.write("data.jsonl", content);
        const ProgramRun run = runBuilt("kvloupe",
            {"evaluate", folder.path().string(), "--suite", "published", "--task", "gsm8k", "--data", file.string(),
                "--method", "snapkv", "--keep", "0.5", "--out", results.string()});
        EXPECT_EQ(run.status, 1) << run.out;
        EXPECT_THAT(run.err, HasSubstr(reason));
        EXPECT_THAT(run.err, HasSubstr("data.jsonl"));
    };
    refused("{\"question\": \"How many?\"}\n", "answer");
    refused("{\"question\": \"\xff\", \"answer\": \"#### 3\"}\n", "UTF-8");
    refused("", "empty");
    refused("{\"question\": \"How many?\", \"answer\": \"#### 3\"}\n", "examples");
    EXPECT_FALSE(std::filesystem::exists(results));
}

TEST_F(EvaluateCommand, CaptureRecordsTheItemsThatEvaluateMeasures)
{
    ASSERT_EQ(runBuilt("kvloupe", command({"--task", "qa", "--samples", "2", "--seed", "5"})).status, 0);
    const std::string recording = (folder.path() / "rec.h5").string();
    const ProgramRun capture = runBuilt("kvloupe",
        {"capture", folder.path().string(), "--suite", "fundamental", "--task", "qa", "--samples", "2", "--seed", "5",
            "--record", "qk", "--out", recording, "--progress", "none"});
    ASSERT_EQ(capture.status, 0) << capture.err;
    const Json info = Json::parse(runBuilt("kvloupe", {"info", recording, "--json"}).out);
    ASSERT_EQ(info["samples"].size(), 2U);
    std::map<std::string, std::string> hashes;
    const ResultFile file = readResults(results);
    for (const ResultRow& row : file.runs.front().rows)
        hashes[row.key.sample] = row.prompt.sha256;
    for (const Json& sample : info["samples"])
        EXPECT_EQ(hashes.at(sample["id"]), sample["prompt_sha256"]);
    EXPECT_THAT(info["command"].get<std::string>(), HasSubstr("--suite fundamental --task qa"));
    // Shots came along: a method that needs them replays.
    EXPECT_EQ(runBuilt("kvloupe", {"replay", recording, "--method", "shotkv", "--keep", "0.5"}).status, 0);
}

TEST_F(EvaluateCommand, CaptureRefusesOptionsOfTasksWithoutASuite)
{
    const ProgramRun run = runBuilt("kvloupe",
        {"capture", folder.path().string(), "--prompt", "Hello", "--task", "qa", "--out",
            (folder.path() / "rec.h5").string()});
    EXPECT_EQ(run.status, 2) << run.err;
    EXPECT_THAT(run.err, HasSubstr("--task requires --suite"));
    EXPECT_FALSE(std::filesystem::exists(folder.path() / "rec.h5"));
}

/// The whole suite on a model that can speak. Slow: a minute and more.
TEST(EvaluateSlow, TheDefaultModelAnswersTheSuiteWithItsFullCacheAndLosesSomeOfItAtATenth)
{
    if (!isBuilt("kvloupe-run"))
        GTEST_SKIP() << "kvloupe-run was not built (KVLOUPE_CAPTURE)";
    KVLOUPE_SKIP_WITHOUT_TEST_MODEL();
    const TemporaryFolder folder;
    const auto results = folder.path() / "results.jsonl";
    const ProgramRun run = runBuilt("kvloupe",
        {"evaluate", testModelPath().string(), "--suite", "fundamental", "--method", "streaming_llm", "--method",
            "snapkv", "--keep", "1,0.1", "--samples", "2", "--out", results.string(), "--progress", "none"});
    ASSERT_EQ(run.status, 0) << run.err;
    const ResultRun rows = readResults(results).runs.front();
    ASSERT_EQ(rows.rows.size(), 8U * 2U * 5U);
    std::map<std::int64_t, double> score;
    std::map<std::int64_t, double> nll;
    std::map<std::string, std::vector<std::int64_t>> fullTokens;
    for (const ResultRow& row : rows.rows) {
        ASSERT_TRUE(row.outcome);
        score[row.branch] += row.outcome->score / 16.0;
        nll[row.branch] += row.outcome->nllGoldSum / static_cast<double>(row.outcome->nllGoldTokens) / 16.0;
        if (row.branch == 0)
            fullTokens[row.key.sample] = row.outcome->ids;
        else if (row.budget.text == "1") {
            EXPECT_EQ(row.outcome->ids, fullTokens[row.key.sample]) << row.key.sample << ' ' << row.method.spec;
        }
    }
    EXPECT_GE(score[0], 0.5);
    for (const std::int64_t tenth : {2, 4}) {
        EXPECT_LE(score[tenth], score[0] - 0.2) << tenth;
        EXPECT_GE(nll[tenth], nll[0] + 0.2) << tenth;
    }
}

} // namespace
} // namespace kvloupe
