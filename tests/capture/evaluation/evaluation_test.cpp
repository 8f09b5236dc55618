// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/evaluation/evaluation.h"

#include "capture/model/model_error.h"
#include "capture/recorder/item_prompt.h"
#include "capture/tasks/task_suite.h"
#include "core/methods/method_registry.h"
#include "core/recording/recording.h"
#include "core/replay/replay.h"
#include "core/results/result_file.h"
#include "core/results/results_error.h"
#include "tests/support/byte_llama.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>

namespace kvloupe {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

class EvaluationTest : public testing::Test {
protected:
    EvaluationOptions options(const std::vector<std::string>& tasks = {"wk", "ar"}) const
    {
        EvaluationOptions result;
        result.model = model;
        result.modelName = "bytes";
        result.suite = "fundamental";
        for (const std::string& task : tasks)
            result.tasks.push_back(&findTask(findSuite("fundamental"), task));
        result.items.samples = 2;
        result.methods = {parseMethod("snapkv"), parseMethod("h2o:variant=drop")};
        result.budgets = {Budget::keep("0.5"), Budget::keep("0.1")};
        result.maxNewTokens = 6;
        result.out = folder.path() / "results.jsonl";
        return result;
    }

    static EvaluationSummary evaluate(const EvaluationOptions& options) { return Evaluation(options, {}).run(); }

    ResultRun read() const
    {
        const ResultFile file = readResults(folder.path() / "results.jsonl");
        EXPECT_EQ(file.runs.size(), 1U);
        return file.runs.front();
    }

    /// Lines of the results without times, in the order of the file.
    std::vector<std::string> lines() const
    {
        std::ifstream file(folder.path() / "results.jsonl");
        std::vector<std::string> result;
        for (std::string line; std::getline(file, line);)
            if (!result.empty() || line.find("\"type\":\"run\"") == std::string::npos)
                result.push_back(withoutTimes(line).dump());
        return result;
    }

    TemporaryFolder folder;
    std::filesystem::path model = writeByteLlama(folder);
};

TEST_F(EvaluationTest, WritesARowPerBranchWithWhatIsNeededToDoItAgain)
{
    const EvaluationSummary summary = evaluate(options());
    EXPECT_EQ(summary.samples, 4);
    EXPECT_EQ(summary.branches, 5);
    const ResultRun run = read();
    ASSERT_EQ(run.rows.size(), 20U);
    EXPECT_EQ(run.header.tasks, (std::vector<std::string>{"wk", "ar"}));
    EXPECT_EQ(run.header.branches.size(), 5U);
    for (const ResultRow& row : run.rows) {
        SCOPED_TRACE(row.key.sample + " " + row.method.spec + " " + row.budget.text);
        ASSERT_TRUE(row.outcome);
        EXPECT_EQ(row.model.fileSha256.size(), 64U);
        EXPECT_EQ(row.model.tokenizerSha256.size(), 64U);
        EXPECT_EQ(row.prompt.sha256.size(), 64U);
        EXPECT_EQ(row.outcome->realisedPerLayer.size(), 2U);
        EXPECT_GT(row.outcome->nllGoldTokens, 0);
        EXPECT_EQ(row.outcome->klToFull.has_value(), row.branch > 0);
        EXPECT_EQ(row.method.name, row.branch == 0 ? "full" : row.branch < 3 ? "snapkv" : "h2o");
        EXPECT_EQ(row.firstToken, row.key.task == "wk" ? "compressed" : "full");
        if (row.branch == 0) {
            EXPECT_EQ(row.budget.requestedTokens, row.prompt.tokens);
            EXPECT_DOUBLE_EQ(row.outcome->realisedShare, 1.0);
        } else {
            EXPECT_EQ(
                row.budget.requestedTokens, row.budget.text == "0.5" ? row.prompt.tokens / 2 : row.prompt.tokens / 10);
            EXPECT_NEAR(row.outcome->realisedShare,
                static_cast<double>(row.budget.requestedTokens) / static_cast<double>(row.prompt.tokens), 1e-9);
        }
    }
    EXPECT_NE(run.rows[0].reference, "");
}

TEST_F(EvaluationTest, CutsArePreciselyThoseOfAReplayOfARecordingOfTheSamePrompt)
{
    EvaluationOptions asked = options({"ar"});
    asked.methods = {parseMethod("pyramidkv"), parseMethod("adakv:scorer=snapkv"), parseMethod("shotkv")};
    evaluate(asked);
    TaskOptions items;
    items.samples = 2;
    CaptureOptions capture;
    capture.model = model;
    capture.out = folder.path() / "rec.h5";
    for (const TaskItem& item : asked.tasks.front()->items(items))
        capture.prompts.push_back(promptOfItem(item, false));
    CaptureSession(capture, {}).run();
    const Recording recording = Recording::open(capture.out);
    const Replay replay(recording);
    int compared = 0;
    for (const ResultRow& row : read().rows) {
        const int sample = row.key.sample == "ar:0:0" ? 0 : 1;
        EXPECT_EQ(recording.sample(sample).promptSha256, row.prompt.sha256);
        EXPECT_EQ(recording.sample(sample).id, row.key.sample);
        const std::vector<Method> method{parseMethod(row.method.spec)};
        const std::vector<ScoredSample> scored = replay.score(sample, method);
        const ReplayResult choice = scored.front().choose(Budget::keep(std::string_view(row.budget.text)));
        for (const auto& [layer, keep] : choice.kept) {
            double sum = 0.0;
            for (const auto& set : keep.sets)
                sum += static_cast<double>(set.size());
            EXPECT_DOUBLE_EQ(row.outcome->realisedPerLayer[static_cast<std::size_t>(layer)],
                sum / static_cast<double>(keep.sets.size()));
            ++compared;
        }
    }
    EXPECT_EQ(compared, 2 * 7 * 2);
}

TEST_F(EvaluationTest, GoesOnWhereItWasInterruptedWithTheSameRows)
{
    evaluate(options());
    const std::vector<std::string> uninterrupted = lines();
    std::filesystem::remove(folder.path() / "results.jsonl");

    int calls = 0;
    RunEvents events;
    events.progress = [&](std::string_view stage, double fraction) {
        return stage.find("evaluating") == std::string::npos || fraction < 0.6 || ++calls < 2;
    };
    EXPECT_THROW(Evaluation(options(), events).run(), Cancelled);
    EXPECT_EQ(read().rows.size(), 10U);
    // What a kill in the middle of a write leaves.
    std::ofstream(folder.path() / "results.jsonl", std::ios::app) << R"({"version":1,"type":"row","suite":"funda)";

    EvaluationOptions again = options();
    again.mode = ResultStoreMode::Resume;
    const EvaluationSummary summary = evaluate(again);
    EXPECT_EQ(summary.resumed, 2);
    EXPECT_EQ(summary.samples, 2);
    EXPECT_EQ(lines(), uninterrupted);
}

TEST_F(EvaluationTest, RefusesToResumeResultsOfOtherParametersAndToReplaceResults)
{
    evaluate(options());
    EXPECT_THROW(evaluate(options()), ResultsError);
    EvaluationOptions other = options();
    other.mode = ResultStoreMode::Resume;
    other.budgets.back() = Budget::keep("0.2");
    EXPECT_THAT([&] { evaluate(other); }, ThrowsMessage<ResultsError>(HasSubstr("branches[2].budget")));
    other = options();
    other.mode = ResultStoreMode::Resume;
    other.batchBytes = 1000;
    EXPECT_THAT([&] { evaluate(other); }, ThrowsMessage<ResultsError>(HasSubstr("batch_bytes")));
    other = options();
    other.mode = ResultStoreMode::Resume;
    other.divergence = false;
    EXPECT_THAT([&] { evaluate(other); }, ThrowsMessage<ResultsError>(HasSubstr("divergence")));
}

TEST_F(EvaluationTest, SkipsAndCountsPromptsBeyondTheContext)
{
    TemporaryFolder small;
    EvaluationOptions asked = options({"wk"});
    asked.model = writeByteLlama(small, {.context = 200});
    const EvaluationSummary summary = evaluate(asked);
    EXPECT_EQ(summary.skipped, 2);
    for (const ResultRow& row : read().rows) {
        EXPECT_THAT(row.skipped, HasSubstr("context of the model"));
        EXPECT_FALSE(row.outcome);
    }
}

TEST_F(EvaluationTest, CompressesTheContextAloneAndLetsTheQuestionComeAfterIt)
{
    EvaluationOptions asked = options({"qa"});
    asked.compressSpan = CompressSpan::Context;
    asked.methods = {parseMethod("streaming_llm")};
    evaluate(asked);
    for (const ResultRow& row : read().rows) {
        EXPECT_EQ(row.prompt.compressSpan, "context");
        EXPECT_EQ(row.firstToken, "compressed");
        EXPECT_LT(row.outcome->realisedPerLayer.front(), static_cast<double>(row.prompt.tokens));
        if (row.branch > 0) {
            EXPECT_GT(*row.outcome->klToFull, 0.0);
        }
    }
    asked.firstToken = FirstToken::Full;
    EXPECT_THROW(Evaluation(asked, {}), TaskError);
}

TEST_F(EvaluationTest, FindsWhatIsWrongBeforeItWritesAnything)
{
    EvaluationOptions asked = options();
    asked.chat = true;
    EXPECT_THAT([&] { Evaluation(asked, {}); }, ThrowsMessage<PromptError>(HasSubstr("no chat template")));
    asked = options();
    asked.items.data = folder.path() / "essays";
    EXPECT_THAT([&] { Evaluation(asked, {}); }, ThrowsMessage<TaskError>(HasSubstr("wk")));
    asked = options();
    asked.tasks = {&findTask("humaneval")};
    EXPECT_THAT([&] { Evaluation(asked, {}); }, ThrowsMessage<TaskError>(HasSubstr("--allow-code-execution")));
    asked = options();
    asked.tasks = {&findTask("gsm8k")};
    EXPECT_THAT([&] { Evaluation(asked, {}); }, ThrowsMessage<TaskError>(HasSubstr("--data")));
    EXPECT_FALSE(std::filesystem::exists(folder.path() / "results.jsonl"));
}

TEST_F(EvaluationTest, NamesTheSampleThatAMethodCannotWorkOn)
{
    EvaluationOptions asked = options({"ar"});
    asked.items.shots = 0;
    asked.methods = {parseMethod("shotkv")};
    EXPECT_THAT([&] { evaluate(asked); },
        ThrowsMessage<MethodError>(testing::AllOf(HasSubstr("sample ar:0:0"), HasSubstr("shotkv"))));
}

TEST_F(EvaluationTest, LeavesOutMeasuresThatAreNotWanted)
{
    EvaluationOptions asked = options({"wk"});
    asked.goldLikelihood = false;
    asked.divergence = false;
    evaluate(asked);
    for (const ResultRow& row : read().rows) {
        EXPECT_EQ(row.outcome->nllGoldTokens, 0);
        EXPECT_FALSE(row.outcome->klToFull);
    }
}

} // namespace
} // namespace kvloupe
