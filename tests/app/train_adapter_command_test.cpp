// SPDX-License-Identifier: GPL-3.0-or-later

#include "tests/app/program_run.h"
#include "tests/support/byte_llama.h"
#include "tests/support/temporary_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <fstream>

namespace kvloupe {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;

/// Trains on a random llama that reads bytes.
class TrainAdapterCommand : public ::testing::Test {
protected:
    void SetUp() override
    {
        if (!isBuilt("kvloupe-run"))
            GTEST_SKIP() << "kvloupe-run was not built";
        writeByteLlama(m_model);
    }

    std::string model() const { return m_model.path().string(); }
    std::string out(const char* name) const { return (m_folder.path() / name).string(); }

    std::vector<std::string> training(const char* name, int steps, std::vector<std::string> more = {}) const
    {
        std::vector<std::string> arguments{"train-adapter", model(), "--style", "reasoning", "--out", out(name),
            "--steps", std::to_string(steps), "--batch", "2", "--rank", "2", "--progress", "none"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        return arguments;
    }

    static std::string bytesOf(const std::filesystem::path& file)
    {
        std::ifstream in(file, std::ios::binary);
        return {std::istreambuf_iterator<char>(in), {}};
    }

    TemporaryFolder m_model;
    TemporaryFolder m_folder;
};

TEST_F(TrainAdapterCommand, PrintsItsHelpWithAnExample)
{
    const ProgramRun run = runBuilt("kvloupe", {"train-adapter", "--help"});
    EXPECT_EQ(run.status, 0);
    EXPECT_THAT(run.out, HasSubstr("Usage: kvloupe train-adapter"));
    EXPECT_THAT(run.out, HasSubstr("Example:"));
}

TEST_F(TrainAdapterCommand, RefusesAnUnknownStyleAsWrongUsage)
{
    const ProgramRun run = runBuilt("kvloupe", {"train-adapter", model(), "--style", "poetic", "--out", out("a")});
    EXPECT_EQ(run.status, 2);
    EXPECT_FALSE(std::filesystem::exists(out("a")));
}

TEST_F(TrainAdapterCommand, AnAdapterThatItTrainedIsRecordedWithItsHashAndRole)
{
    const ProgramRun trained = runBuilt("kvloupe", training("mine", 2, {"--json"}));
    ASSERT_EQ(trained.status, 0) << trained.err;
    EXPECT_EQ(Json::parse(trained.out).at("steps"), 2);

    const auto capture = [&](std::vector<std::string> more) {
        std::vector<std::string> arguments{
            "capture", model(), "--prompt", "Hello", "--out", out("r.h5"), "--progress", "none"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        return runBuilt("kvloupe", arguments);
    };
    const ProgramRun recorded = capture({"--adapter", out("mine")});
    ASSERT_EQ(recorded.status, 0) << recorded.err;
    const Json info = Json::parse(runBuilt("kvloupe", {"info", out("r.h5"), "--json"}).out);
    EXPECT_EQ(info.at("model").at("adapter_sha256").get<std::string>().size(), 64U);
    EXPECT_EQ(info.at("samples").at(0).at("role"), "reasoning-adapter");

    const ProgramRun other = capture({"--resume"});
    EXPECT_EQ(other.status, 1);
    EXPECT_THAT(other.err, HasSubstr("adapter_sha256"));
    EXPECT_EQ(std::ranges::count(other.err, '\n'), 1) << other.err;
    const ProgramRun missing = capture({"--overwrite", "--adapter", "no-such-adapter"});
    EXPECT_EQ(missing.status, 1);
    EXPECT_THAT(missing.err, HasSubstr("no-such-adapter"));
}

TEST_F(TrainAdapterCommand, InterruptedItSavesAndGoesOnToTheSameBytes)
{
    ASSERT_EQ(runBuilt("kvloupe", training("whole", 40)).status, 0);
    ProgramRunOptions options;
    const std::string log = out("parts") + "/training_log.jsonl";
    options.interruptWhen = [&] { return std::ranges::count(bytesOf(log), '\n') >= 3; };
    const ProgramRun stopped = runBuilt("kvloupe", training("parts", 40), options);
    ASSERT_EQ(stopped.status, 130) << stopped.err;
    EXPECT_LT(std::ranges::count(bytesOf(log), '\n'), 40);
    const ProgramRun resumed = runBuilt("kvloupe", training("parts", 40, {"--resume"}));
    ASSERT_EQ(resumed.status, 0) << resumed.err;
    EXPECT_EQ(
        bytesOf(out("whole") + "/adapter_model.safetensors"), bytesOf(out("parts") + "/adapter_model.safetensors"));
}

} // namespace
} // namespace kvloupe
