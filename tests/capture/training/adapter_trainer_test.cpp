// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/training/training_run.h"

#include "capture/adapter/adapter.h"
#include "capture/checkpoint/bounded_json.h"
#include "capture/checkpoint/checkpoint.h"
#include "capture/model/model_error.h"
#include "capture/model/transformer.h"
#include "capture/tasks/task_suite.h"
#include "capture/tokenizer/tokenizer.h"
#include "tests/support/byte_llama.h"
#include "tests/support/temporary_folder.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <fstream>

namespace kvloupe {
namespace {

std::string bytesOf(const std::filesystem::path& file)
{
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

TrainingRunOptions optionsFor(const std::filesystem::path& model, const std::filesystem::path& out)
{
    TrainingRunOptions options;
    options.model = model;
    options.modelName = "tiny";
    options.out = out;
    options.training.style = AdapterStyle::Instruct;
    options.training.steps = 6;
    options.training.warmUpSteps = 2;
    options.training.batch = 3;
    options.training.rank = 2;
    options.training.alpha = 4;
    options.training.learningRate = 1e-2;
    options.training.threads = 1;
    options.saveEvery = 4;
    return options;
}

/// Runs until `steps` are done and is interrupted there.
void runUntil(const TrainingRunOptions& options, int steps)
{
    TrainingRunEvents events;
    int done = 0;
    events.progress = [&](std::string_view stage, double) { return stage != "training" || ++done < steps; };
    EXPECT_THROW(runTraining(options, events), Cancelled);
}

std::string refusalOf(const TrainingRunOptions& options)
{
    try {
        runTraining(options, {});
    } catch (const Error& error) {
        return error.what();
    }
    return "";
}

class AdapterTraining : public ::testing::Test {
protected:
    void SetUp() override { writeByteLlama(m_model); }

    const std::filesystem::path& model() const { return m_model.path(); }
    std::filesystem::path out(const char* name) const { return m_folder.path() / name; }

    TemporaryFolder m_model;
    TemporaryFolder m_folder;
};

TEST_F(AdapterTraining, AnInterruptedAndResumedTrainingGivesTheBytesOfAnUninterruptedOne)
{
    runTraining(optionsFor(model(), out("whole")), {});

    TrainingRunOptions options = optionsFor(model(), out("parts"));
    runUntil(options, 3); // saved because it was stopped
    options.resume = true;
    runUntil(options, 2);
    const TrainingSummary summary = runTraining(options, {});
    EXPECT_EQ(summary.resumedAt, 5);
    EXPECT_EQ(summary.steps, 6);

    EXPECT_EQ(bytesOf(out("whole") / "adapter_model.safetensors"), bytesOf(out("parts") / "adapter_model.safetensors"));
    EXPECT_EQ(
        bytesOf(out("whole") / "training_state.safetensors"), bytesOf(out("parts") / "training_state.safetensors"));
}

TEST_F(AdapterTraining, AKilledTrainingGoesOnFromItsLastSavedState)
{
    runTraining(optionsFor(model(), out("whole")), {});

    TrainingRunOptions options = optionsFor(model(), out("parts"));
    runUntil(options, 3);
    // Steps after the last state, of which only the log knows, and a line that was cut short.
    std::ofstream(out("parts") / "training_log.jsonl", std::ios::app) << "{\"step\":4,\"loss\":1.0}\n{\"ste";
    options.resume = true;
    runTraining(options, {});
    EXPECT_EQ(
        bytesOf(out("whole") / "training_state.safetensors"), bytesOf(out("parts") / "training_state.safetensors"));
    const std::string log = bytesOf(out("parts") / "training_log.jsonl");
    EXPECT_EQ(std::ranges::count(log, '\n'), 6);
}

TEST_F(AdapterTraining, AnyNumberOfThreadsGivesTheSameBytes)
{
    TrainingRunOptions options = optionsFor(model(), out("one"));
    runTraining(options, {});
    options.out = out("two");
    options.training.threads = 2;
    runTraining(options, {});
    EXPECT_EQ(bytesOf(out("one") / "adapter_model.safetensors"), bytesOf(out("two") / "adapter_model.safetensors"));
}

TEST_F(AdapterTraining, TheLossFalls)
{
    TrainingRunOptions options = optionsFor(model(), out("long"));
    options.training.steps = 60;
    options.saveEvery = 100;
    const TrainingSummary summary = runTraining(options, {});
    EXPECT_LT(summary.lastLoss, summary.firstLoss - 0.5);
}

TEST_F(AdapterTraining, WhatWasTrainedIsReadBackAndSaysWhatItIs)
{
    TrainingRunOptions options = optionsFor(model(), out("mine"));
    options.training.style = AdapterStyle::Reasoning;
    runTraining(options, {});
    const auto adapter = Adapter::read(out("mine"));
    EXPECT_EQ(adapter->name(), "mine");
    EXPECT_EQ(adapter->role(), "reasoning-adapter");
    EXPECT_TRUE(adapter->thinks());
    EXPECT_EQ(adapter->weights().rank, 2);
    EXPECT_EQ(adapter->weights().baseModel, "tiny");
    EXPECT_EQ(adapter->weights().modules.size(), 14U);
    const nlohmann::json facts = readJsonObject(out("mine") / "kvloupe_adapter.json");
    EXPECT_EQ(facts.at("steps_done"), 6);
    EXPECT_EQ(facts.at("base_model_sha256").get<std::string>().size(), 64U);
}

TEST_F(AdapterTraining, AFinishedAdapterIsAskedAndWhatItKnowsIsWrittenDown)
{
    TrainingRunOptions options = optionsFor(model(), out("mine"));
    options.training.steps = 2;
    runTraining(options, {});
    options.resume = true;
    options.evaluationItems = 2;
    const TrainingSummary summary = runTraining(options, {});
    ASSERT_EQ(summary.accuracy.size(), TrainingMixture::parts().size());
    const nlohmann::json facts = readJsonObject(out("mine") / "kvloupe_adapter.json");
    ASSERT_EQ(facts.at("accuracy").size(), summary.accuracy.size());
    EXPECT_EQ(facts.at("steps_done"), 2);

    // The first task once more, one prompt after the other.
    LoadOptions load;
    load.adapter = Adapter::read(out("mine"));
    const auto merged = Transformer::load(*Checkpoint::open(model()), load);
    const auto tokenizer = Tokenizer::open(model());
    TaskOptions two;
    two.samples = 2;
    two.level = 1;
    std::size_t tokens = 0;
    for (const TaskItem& item : findTask("wk").items(two)) {
        KvCache cache = merged->makeCache(512);
        const auto logits = merged->prefill(tokenizer->encode(item.text).ids, cache).lastLogits;
        tokens += merged->generateGreedy(cache, logits, item.maxNewTokens, merged->config().eosIds).size();
    }
    EXPECT_EQ(summary.accuracy[0].task, "wk");
    EXPECT_EQ(summary.accuracy[0].samples, 2);
    EXPECT_EQ(summary.accuracy[0].shots, 5);
    EXPECT_DOUBLE_EQ(summary.accuracy[0].meanTokens, static_cast<double>(tokens) / 2.0);
    EXPECT_EQ(facts.at("accuracy").at(0).at("correct"), summary.accuracy[0].correct);
}

TEST_F(AdapterTraining, AStateOfOtherOptionsIsRefused)
{
    TrainingRunOptions options = optionsFor(model(), out("mine"));
    runUntil(options, 2);
    options.resume = true;
    options.training.rank = 3;
    EXPECT_NE(refusalOf(options).find("the state belongs to another training"), std::string::npos);
    options.training.rank = 2;
    options.training.seed = 1;
    EXPECT_NE(refusalOf(options).find("the state belongs to another training"), std::string::npos);
}

TEST_F(AdapterTraining, ADamagedStateOrLogIsRefused)
{
    TrainingRunOptions options = optionsFor(model(), out("mine"));
    runUntil(options, 3);
    options.resume = true;
    const auto state = out("mine") / "training_state.safetensors";
    const auto log = out("mine") / "training_log.jsonl";
    const std::string wholeState = bytesOf(state);
    const std::string wholeLog = bytesOf(log);
    const auto write = [](const std::filesystem::path& file, const std::string& bytes) {
        std::ofstream(file, std::ios::binary) << bytes;
    };

    write(state, wholeState.substr(0, wholeState.size() / 2));
    EXPECT_NE(refusalOf(options).find("training_state.safetensors"), std::string::npos);
    write(state, bytesOf(out("mine") / "adapter_model.safetensors"));
    EXPECT_NE(refusalOf(options).find("no state of a training"), std::string::npos);
    write(state, wholeState);

    write(log, wholeLog.substr(0, wholeLog.find('\n') + 1));
    EXPECT_NE(refusalOf(options).find("found 1 steps, expected the 3 of the saved state"), std::string::npos);
    write(log, "{\"step\":1}\n" + wholeLog);
    EXPECT_NE(refusalOf(options).find("line 1: a field is missing"), std::string::npos);
    write(log, wholeLog);
    runTraining(options, {});
}

TEST_F(AdapterTraining, AFolderThatHoldsSomethingIsLeftAloneUnlessOverwritten)
{
    TrainingRunOptions options = optionsFor(model(), out("mine"));
    std::filesystem::create_directory(options.out);
    std::ofstream(options.out / "precious.txt") << "mine";
    EXPECT_NE(refusalOf(options).find("--overwrite"), std::string::npos);
    EXPECT_FALSE(std::filesystem::exists(options.out / "adapter_config.json"));
    options.overwrite = true;
    runTraining(options, {});
    EXPECT_TRUE(std::filesystem::exists(options.out / "adapter_config.json"));
}

TEST_F(AdapterTraining, ResumingWhereNothingWasBegunIsRefused)
{
    TrainingRunOptions options = optionsFor(model(), out("nothing"));
    options.resume = true;
    EXPECT_NE(refusalOf(options).find("no saved state"), std::string::npos);
}

} // namespace
} // namespace kvloupe
