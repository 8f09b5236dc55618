// SPDX-License-Identifier: GPL-3.0-or-later

#include "tests/core/recording/small_sample.h"
#include "tests/support/temporary_folder.h"

#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <random>
#include <string>
#include <thread>

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

namespace kvloupe {
namespace {

namespace fs = std::filesystem;

constexpr int samples = 8;
constexpr int kills = 200;

pid_t startWriter(const fs::path& path)
{
    const std::string program = std::string(KVLOUPE_BIN_DIR) + "/recording_kill_writer";
    std::string name = "recording_kill_writer";
    std::string file = path.string();
    std::string count = std::to_string(samples);
    char* arguments[] = {name.data(), file.data(), count.data(), nullptr};
    pid_t process = -1;
    EXPECT_EQ(posix_spawn(&process, program.c_str(), nullptr, nullptr, arguments, environ), 0) << program;
    return process;
}

/// Checks every sample that is finished, in parts or merged; gives their number.
int checkFinishedSamples(const fs::path& path)
{
    const fs::path folder = path.string() + ".parts";
    int found = 0;
    if (fs::exists(path)) {
        const Recording recording = Recording::open(path);
        for (int sample = 0; sample < recording.sampleCount(); ++sample) {
            EXPECT_EQ(
                differenceFromSmallSample(recording, sample, static_cast<int>(recording.sample(sample).seed)), "");
        }
        found = recording.sampleCount();
    } else if (fs::exists(folder / "000000.h5")) {
        const Recording recording = Recording::open(path);
        EXPECT_TRUE(recording.isPartial());
        for (int sample = 0; sample < recording.sampleCount(); ++sample) {
            EXPECT_EQ(differenceFromSmallSample(recording, sample, sample), "");
        }
        found = recording.sampleCount();
    }
    return found;
}

TEST(RecordingKilled, KeepsEveryFinishedSampleAndGoesOnAfterTwoHundredKills)
{
    const TemporaryFolder folder;
    const fs::path path = folder.path() / "r.h5";
    std::mt19937 generator(std::random_device{}());
    int killed = 0;
    int completed = 0;
    int previous = 0;
    while (killed < kills) {
        const pid_t writer = startWriter(path);
        ASSERT_GT(writer, 0);
        std::this_thread::sleep_for(std::chrono::microseconds(generator() % 60000));
        kill(writer, SIGKILL);
        int status = 0;
        ASSERT_EQ(waitpid(writer, &status, 0), writer);
        const bool finished = WIFEXITED(status);
        if (finished) {
            ASSERT_EQ(WEXITSTATUS(status), 0);
        } else {
            ++killed;
        }
        const int found = checkFinishedSamples(path);
        ASSERT_FALSE(HasFailure()) << "after kill " << killed;
        ASSERT_GE(found, previous) << "a finished sample is gone after kill " << killed;
        previous = found;
        if (finished) {
            EXPECT_EQ(found, samples);
            EXPECT_FALSE(fs::exists(path.string() + ".parts"));
            fs::remove(path);
            ++completed;
            previous = 0;
        }
    }
    writeSmallRecording(path, samples, RecordingWriter::Existing::Resume);
    EXPECT_EQ(checkFinishedSamples(path), samples);
    RecordProperty("recordings_completed_between_kills", completed);
}

} // namespace
} // namespace kvloupe
