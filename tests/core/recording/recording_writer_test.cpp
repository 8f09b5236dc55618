// SPDX-License-Identifier: GPL-3.0-or-later

#include "tests/core/recording/small_sample.h"
#include "tests/support/temporary_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace kvloupe {
namespace {

namespace fs = std::filesystem;
using Existing = RecordingWriter::Existing;
using testing::HasSubstr;

std::string messageOf(const std::function<void()>& action)
{
    try {
        action();
    } catch (const RecordingError& error) {
        return error.what();
    }
    return "no error";
}

RecordingWriter openWriter(const fs::path& path, Existing existing, const ModelInfo& model = smallModel())
{
    return {path, smallInfo(), model, {RecordKind::Full, Compression::Fast}, existing};
}

void expectSamples(const Recording& recording, const std::vector<int>& indices)
{
    ASSERT_EQ(recording.sampleCount(), std::ssize(indices));
    for (int position = 0; position < recording.sampleCount(); ++position) {
        EXPECT_EQ(differenceFromSmallSample(recording, position, indices[static_cast<std::size_t>(position)]), "");
    }
}

TEST(RecordingWriter, MergesThePartsOfSeveralSamples)
{
    const TemporaryFolder folder;
    const fs::path path = folder.path() / "r.h5";
    writeSmallRecording(path, 3, Existing::Refuse);
    EXPECT_FALSE(fs::exists(folder.path() / "r.h5.parts"));
    const Recording recording = Recording::open(path);
    EXPECT_FALSE(recording.isPartial());
    EXPECT_EQ(recording.info().uuid, smallInfo().uuid);
    expectSamples(recording, {0, 1, 2});
}

TEST(RecordingWriter, LeavesTheFolderOfPartsOnRequest)
{
    const TemporaryFolder folder;
    const fs::path path = folder.path() / "r.h5";
    {
        RecordingWriter writer = openWriter(path, Existing::Refuse);
        writeSmallSample(writer, 1);
        writeSmallSample(writer, 4);
        writer.finish(false);
    }
    EXPECT_FALSE(fs::exists(path));
    for (const fs::path& name : {path, fs::path(path.string() + ".parts")}) {
        const Recording recording = Recording::open(name);
        EXPECT_TRUE(recording.isPartial());
        expectSamples(recording, {1, 4});
    }
    const Recording part = Recording::open(folder.path() / "r.h5.parts" / "000004.h5");
    EXPECT_FALSE(part.isPartial());
    expectSamples(part, {4});
}

TEST(RecordingWriter, CanBeReadWhileItGrows)
{
    const TemporaryFolder folder;
    const fs::path path = folder.path() / "r.h5";
    RecordingWriter writer = openWriter(path, Existing::Refuse);
    EXPECT_THAT(messageOf([&] { Recording::open(path); }), HasSubstr("no sample is complete yet"));
    writeSmallSample(writer, 0);
    const auto unfinished = writer.beginSample(1);
    expectSamples(Recording::open(path), {0});
}

TEST(RecordingWriter, ForgetsASampleThatIsNotCommitted)
{
    const TemporaryFolder folder;
    const fs::path path = folder.path() / "r.h5";
    RecordingWriter writer = openWriter(path, Existing::Refuse);
    writer.beginSample(0).reset();
    EXPECT_TRUE(writer.completeSamples().empty());
    writer.finish();
    EXPECT_FALSE(fs::exists(path));
    EXPECT_TRUE(fs::is_empty(folder.path()));
}

TEST(RecordingWriter, RefusesWhatExistsUnlessToldOtherwise)
{
    const TemporaryFolder folder;
    const fs::path path = folder.path() / "r.h5";
    writeSmallRecording(path, 1, Existing::Refuse);
    EXPECT_THAT(messageOf([&] { openWriter(path, Existing::Refuse); }), HasSubstr("r.h5: exists already"));
    expectSamples(Recording::open(path), {0});
    {
        RecordingWriter writer = openWriter(path, Existing::Overwrite);
        writeSmallSample(writer, 5);
        writer.finish();
    }
    expectSamples(Recording::open(path), {5});
}

TEST(RecordingWriter, ResumesAfterTheSamplesThatAreComplete)
{
    const TemporaryFolder folder;
    const fs::path path = folder.path() / "r.h5";
    {
        RecordingWriter writer = openWriter(path, Existing::Refuse);
        writeSmallSample(writer, 0);
        writeSmallSample(writer, 2);
    }
    {
        RecordingWriter writer = openWriter(path, Existing::Resume);
        EXPECT_EQ(writer.completeSamples(), (std::set<int>{0, 2}));
        EXPECT_EQ(writer.completeSample(2).id, "small-2");
        EXPECT_THAT(messageOf([&] { writer.beginSample(2); }), HasSubstr("sample 2 is complete already"));
        EXPECT_THAT(messageOf([&] { writer.completeSample(1); }), HasSubstr("has no sample 1"));
        writeSmallSample(writer, 1);
        writer.finish();
    }
    expectSamples(Recording::open(path), {0, 1, 2});
    {
        RecordingWriter writer = openWriter(path, Existing::Resume);
        EXPECT_EQ(writer.completeSamples(), (std::set<int>{0, 1, 2}));
        EXPECT_EQ(writer.completeSample(1).id, "small-1");
        writeSmallSample(writer, 3);
        writer.finish();
    }
    expectSamples(Recording::open(path), {0, 1, 2, 3});
}

TEST(RecordingWriter, ClearsAwayPartsThatAMergeLeftBehind)
{
    const TemporaryFolder folder;
    const fs::path path = folder.path() / "r.h5";
    writeSmallRecording(path, 2, Existing::Refuse);
    const fs::path parts = folder.path() / "r.h5.parts";
    {
        RecordingWriter other = openWriter(folder.path() / "other.h5", Existing::Refuse);
        writeSmallSample(other, 1);
        fs::create_directory(parts);
        fs::rename(folder.path() / "other.h5.parts" / "000001.h5", parts / "000001.h5");
    }
    expectSamples(Recording::open(path), {0, 1});
    writeSmallRecording(path, 2, Existing::Resume);
    EXPECT_FALSE(fs::exists(parts));
    expectSamples(Recording::open(path), {0, 1});
}

TEST(RecordingWriter, RefusesToResumeWithAnotherModelOrTokenizer)
{
    const TemporaryFolder folder;
    const fs::path path = folder.path() / "r.h5";
    writeSmallRecording(path, 1, Existing::Refuse);
    const auto resumeWith = [&](const std::function<void(ModelInfo&)>& change) {
        ModelInfo model = smallModel();
        change(model);
        return messageOf([&] { openWriter(path, Existing::Resume, model); });
    };
    EXPECT_THAT(resumeWith([](ModelInfo& model) { model.fileSha256 = "other"; }),
        testing::AllOf(
            HasSubstr("r.h5: cannot be resumed"), HasSubstr("file_sha256 is \"abc\""), HasSubstr("\"other\"")));
    EXPECT_THAT(resumeWith([](ModelInfo& model) { model.config = "{1}"; }), HasSubstr("model config"));
    EXPECT_THAT(resumeWith([](ModelInfo& model) { model.adapterSha256 = "a"; }), HasSubstr("adapter_sha256"));
    EXPECT_THAT(resumeWith([](ModelInfo& model) { model.tokenizerSha256 = "a"; }), HasSubstr("tokenizer sha256"));
    EXPECT_THAT(resumeWith([](ModelInfo& model) { model.headDim = 16; }), HasSubstr("head size"));
    expectSamples(Recording::open(path), {0});
}

TEST(RecordingWriter, LetsOnlyOneCaptureWriteARecording)
{
    const TemporaryFolder folder;
    const fs::path path = folder.path() / "r.h5";
    const RecordingWriter first = openWriter(path, Existing::Refuse);
    EXPECT_THAT(messageOf([&] { openWriter(path, Existing::Resume); }), HasSubstr("another capture is writing"));
}

TEST(RecordingWriter, NamesAFolderThatCannotBeWritten)
{
    const TemporaryFolder folder;
    std::ofstream(folder.path() / "file") << "x";
    EXPECT_THAT(messageOf([&] { openWriter(folder.path() / "file" / "r.h5", Existing::Refuse); }),
        testing::AllOf(HasSubstr("r.h5.parts"), HasSubstr("Not a directory")));
}

TEST(RecordingWriter, ReportsProgrammingErrorsOfItsCaller)
{
    const TemporaryFolder folder;
    RecordingWriter writer = openWriter(folder.path() / "r.h5", Existing::Refuse);
    EXPECT_THAT(messageOf([&] { writer.beginSample(-1); }), HasSubstr("outside 0 to 999999"));
    const auto sample = writer.beginSample(0);
    SampleInfo info;
    EXPECT_THAT(messageOf([&] { sample->begin(info); }), HasSubstr("expected 1 or more prompt tokens"));
    info.promptTokens = 300;
    info.totalTokens = 300;
    sample->begin(info);
    ChunkCodec wrong(Compression::None);
    EXPECT_THAT(messageOf([&] { sample->writeMapTile(0, 0, 0, 0, std::vector<Half>(tileSize * tileSize), wrong); }),
        HasSubstr("another compression"));
    sample->write(1, TokenArray::RowMax, 0, 300, std::vector<float>(1200));
    EXPECT_THAT(messageOf([&] { sample->commit(info); }), HasSubstr("layer 1 is written before it was begun"));
}

/// Runs `action` in a child whose files cannot grow beyond `bytes`, the way a full disk stops them.
int exitStatusWithFileLimit(rlim_t bytes, const std::function<int()>& action)
{
    const pid_t child = fork();
    if (child == 0) {
        std::signal(SIGXFSZ, SIG_IGN);
        const rlimit limit{bytes, bytes};
        setrlimit(RLIMIT_FSIZE, &limit);
        _exit(action());
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

TEST(RecordingWriter, NamesFileAndCauseWhenTheDiskIsFullAndKeepsWhatIsComplete)
{
    const TemporaryFolder folder;
    const fs::path path = folder.path() / "r.h5";
    {
        RecordingWriter writer = openWriter(path, Existing::Refuse);
        writeSmallSample(writer, 0);
    }
    const auto partBytes = fs::file_size(folder.path() / "r.h5.parts" / "000000.h5");
    // From "nothing fits" to "all but the last bytes fit": creation, chunks, metadata at closing time.
    for (rlim_t limit = 0; limit < partBytes; limit += partBytes / 23 + 1) {
        const int status = exitStatusWithFileLimit(limit, [&] {
            std::string message;
            {
                RecordingWriter writer = openWriter(path, Existing::Resume);
                message = messageOf([&] { writeSmallSample(writer, 1); });
            }
            const bool good = message.find("000001.h5.tmp") != std::string::npos
                && message.find("File too large") != std::string::npos;
            if (!good) {
                std::fprintf(stderr, "limit %zu: %s\n", static_cast<std::size_t>(limit), message.c_str());
            }
            // Leaving by exit() shows that HDF5 can be shut down after the failure.
            if (good) {
                std::exit(0);
            }
            return 1;
        });
        ASSERT_EQ(status, 0) << "limit " << limit;
        ASSERT_FALSE(fs::exists(folder.path() / "r.h5.parts" / ".000001.h5.tmp"));
        expectSamples(Recording::open(path), {0});
    }
    writeSmallRecording(path, 2, Existing::Resume);
    expectSamples(Recording::open(path), {0, 1});
}

TEST(RecordingWriter, KeepsThePartsWhenTheDiskIsFullWhileMerging)
{
    const TemporaryFolder folder;
    const fs::path path = folder.path() / "r.h5";
    {
        RecordingWriter writer = openWriter(path, Existing::Refuse);
        writeSmallSample(writer, 0);
        writeSmallSample(writer, 1);
    }
    const auto partBytes = fs::file_size(folder.path() / "r.h5.parts" / "000000.h5");
    for (const rlim_t limit : {partBytes / 3, partBytes / 2, partBytes}) {
        const int status = exitStatusWithFileLimit(limit, [&] {
            RecordingWriter writer = openWriter(path, Existing::Resume);
            const std::string message = messageOf([&] { writer.finish(); });
            const bool good
                = message.find(".r.h5.tmp") != std::string::npos && message.find("File too large") != std::string::npos;
            if (!good) {
                std::fprintf(stderr, "limit %zu: %s\n", static_cast<std::size_t>(limit), message.c_str());
            }
            return good ? 0 : 1;
        });
        ASSERT_EQ(status, 0) << "limit " << limit;
        EXPECT_FALSE(fs::exists(path));
        EXPECT_FALSE(fs::exists(folder.path() / ".r.h5.tmp"));
        expectSamples(Recording::open(path), {0, 1});
    }
}

TEST(RecordingTimestamp, HonoursSourceDateEpoch)
{
    setenv("SOURCE_DATE_EPOCH", "1738627200", 1);
    EXPECT_EQ(recordingTimestamp(), "2025-02-04T00:00:00Z");
    unsetenv("SOURCE_DATE_EPOCH");
    EXPECT_THAT(recordingTimestamp(), testing::MatchesRegex("20[0-9-]+T[0-9:]+Z"));
    EXPECT_THAT(
        makeUuid(), testing::MatchesRegex("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"));
    EXPECT_NE(makeUuid(), makeUuid());
}

} // namespace
} // namespace kvloupe
