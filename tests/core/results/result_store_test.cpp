// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/results/result_store.h"

#include "core/results/result_file.h"
#include "core/results/results_error.h"
#include "tests/support/made_results.h"
#include "tests/support/temporary_folder.h"

#include <csignal>
#include <fmt/format.h>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <iterator>
#include <nlohmann/json.hpp>
#include <random>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace kvloupe {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::StartsWith;

constexpr int samples = 4;

std::string bytesOf(const std::filesystem::path& file)
{
    std::ifstream stream(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
}

std::vector<std::string> linesOf(const std::vector<ResultRow>& rows)
{
    std::vector<std::string> lines;
    for (const ResultRow& row : rows)
        lines.push_back(resultLine(row));
    return lines;
}

/// All samples that are missing, as an evaluation would do it.
void finish(ResultStore& store, const RunHeader& header, int count = samples)
{
    for (int sample = 0; sample < count; ++sample) {
        const auto rows = madeSample(header, sample);
        if (!store.isComplete(rows.front().key))
            store.append(rows);
    }
}

class ResultStoreTest : public ::testing::Test {
protected:
    std::filesystem::path file(const char* name = "results.jsonl") const { return folder.path() / name; }

    std::string errorOf(ResultStoreMode mode, const RunHeader& with) const
    {
        try {
            ResultStore(file(), with, mode);
        } catch (const ResultsError& error) {
            return error.what();
        }
        return "no error";
    }

    TemporaryFolder folder;
    RunHeader header = madeHeader();
};

TEST_F(ResultStoreTest, WritesAHeaderAndWholeSamplesThatAreReadBack)
{
    {
        ResultStore store(file(), header, ResultStoreMode::New, ResultDurability::Sync);
        finish(store, header);
        EXPECT_EQ(store.completeSamples(), 4U);
    }
    EXPECT_THAT(bytesOf(file()), StartsWith("{\"format\":\"kvloupe-results\",\"version\":1,\"type\":\"run\""));
    const ResultFile read = readResults(file());
    ASSERT_THAT(read.runs, SizeIs(1));
    EXPECT_EQ(firstDifference(read.runs[0].header, header), std::nullopt);
    EXPECT_EQ(read.runs[0].header.created, header.created);
    std::vector<std::string> expected;
    for (int sample = 0; sample < samples; ++sample)
        std::ranges::copy(linesOf(madeSample(header, sample)), std::back_inserter(expected));
    EXPECT_EQ(linesOf(read.runs[0].rows), expected);
    EXPECT_EQ(read.tornBytes, 0);
    EXPECT_EQ(read.bytes, static_cast<std::int64_t>(std::filesystem::file_size(file())));
}

TEST_F(ResultStoreTest, CutOffAtAnyByteAndResumedItGivesTheRowsOfAnUninterruptedRun)
{
    {
        ResultStore store(file(), header, ResultStoreMode::New);
        finish(store, header);
    }
    const std::string whole = bytesOf(file());
    const auto expected = linesOf(readResults(file()).runs[0].rows);
    for (std::size_t cut = 0; cut < whole.size(); cut += whole[cut] == '\n' || cut % 97 == 0 ? 1 : 97 - cut % 97) {
        SCOPED_TRACE(cut);
        folder.write("cut.jsonl", whole.substr(0, cut));
        {
            ResultStore store(file("cut.jsonl"), header, ResultStoreMode::Resume);
            EXPECT_LE(store.tornBytes(), static_cast<std::int64_t>(cut));
            finish(store, header);
        }
        const ResultFile read = readResults(file("cut.jsonl"));
        ASSERT_THAT(read.runs, SizeIs(1));
        ASSERT_EQ(linesOf(read.runs[0].rows), expected);
        EXPECT_EQ(read.runs[0].incompleteRows, 0);
        EXPECT_EQ(read.tornBytes, 0);
        // What readers may have read stands where it stood.
        const std::string resumed = bytesOf(file("cut.jsonl"));
        const std::size_t lines = whole.substr(0, cut).rfind('\n') + 1;
        EXPECT_EQ(resumed.substr(0, lines), whole.substr(0, lines));
    }
}

TEST_F(ResultStoreTest, KilledAtRandomAndResumedItGivesTheRowsOfAnUninterruptedRun)
{
    constexpr int many = 200; // takes a while, so that the kills come at all stages
    std::mt19937 random(20260102);
    for (int kills = 0; kills < 12; ++kills) {
        const pid_t child = fork();
        ASSERT_GE(child, 0);
        if (child == 0) {
            ResultStore store(file(), header, ResultStoreMode::Resume);
            finish(store, header, many);
            _exit(0);
        }
        usleep(std::uniform_int_distribution<useconds_t>(0, 30000)(random));
        kill(child, SIGKILL);
        waitpid(child, nullptr, 0);
    }
    {
        ResultStore store(file(), header, ResultStoreMode::Resume);
        finish(store, header, many);
    }
    const ResultFile read = readResults(file());
    ASSERT_THAT(read.runs, SizeIs(1));
    std::vector<std::string> expected;
    for (int sample = 0; sample < many; ++sample)
        std::ranges::copy(linesOf(madeSample(header, sample)), std::back_inserter(expected));
    EXPECT_EQ(linesOf(read.runs[0].rows), expected);
}

TEST_F(ResultStoreTest, ReadersLeaveAnIncompleteSampleAsideAndCountWhatWasDoneAgain)
{
    {
        ResultStore store(file(), header, ResultStoreMode::New);
        store.append(madeSample(header, 0));
    }
    const std::string begun
        = bytesOf(file()) + resultLine(madeRow(header, 0, 1)) + "\n" + resultLine(madeRow(header, 1, 1)) + "\n";
    folder.write("results.jsonl", begun);
    ResultFile read = readResults(file());
    EXPECT_THAT(read.runs[0].rows, SizeIs(5));
    EXPECT_EQ(read.runs[0].incompleteRows, 2);
    EXPECT_EQ(read.runs[0].supersededRows, 0);

    {
        ResultStore store(file(), header, ResultStoreMode::Resume);
        EXPECT_EQ(store.incompleteRows(), 2);
        EXPECT_FALSE(store.isComplete(madeRow(header, 0, 1).key));
        store.append(madeSample(header, 1));
        // A sample that was written whole before is replaced, too.
        auto again = madeSample(header, 0);
        again[2].outcome->score = 0.25;
        store.append(again);
    }
    EXPECT_THAT(bytesOf(file()), StartsWith(begun));
    read = readResults(file());
    ASSERT_THAT(read.runs[0].rows, SizeIs(10));
    EXPECT_EQ(read.runs[0].incompleteRows, 0);
    EXPECT_EQ(read.runs[0].supersededRows, 2 + 5);
    EXPECT_EQ(read.runs[0].rows[0].key.sample, "ar-1");
    EXPECT_EQ(read.runs[0].rows[7].outcome->score, 0.25);
}

TEST_F(ResultStoreTest, RowsOfTwoSamplesThatAreMixedUpMakeNoSample)
{
    std::string text = headerLine(header) + "\n";
    for (std::size_t branch = 0; branch < header.branches.size(); ++branch)
        for (const int sample : {0, 1})
            text += resultLine(madeRow(header, branch, sample)) + "\n";
    folder.write("results.jsonl", text);
    const ResultFile read = readResults(file());
    EXPECT_THAT(read.runs[0].rows, IsEmpty());
    EXPECT_EQ(read.runs[0].incompleteRows, 10);
}

TEST_F(ResultStoreTest, RefusesToGoOnWithOtherParametersAndNamesTheFirstThatDiffers)
{
    ResultStore(file(), header, ResultStoreMode::New);
    RunHeader other = header;
    other.created = "2027-01-01T00:00:00Z";
    EXPECT_EQ(errorOf(ResultStoreMode::Resume, other), "no error");

    other = header;
    other.samples = 5;
    other.branches[3].budget = "0.2";
    EXPECT_THAT(errorOf(ResultStoreMode::Resume, other),
        HasSubstr("results.jsonl, line 1, field samples: found 4, expected 5"));
    other.samples = header.samples;
    EXPECT_THAT(errorOf(ResultStoreMode::Resume, other),
        HasSubstr("field branches[3].budget: found \"0.1\", expected \"0.2\""));
    other = header;
    other.branches.pop_back();
    EXPECT_THAT(errorOf(ResultStoreMode::Resume, other), HasSubstr("field branches: found 5 entries, expected 4"));
    other = header;
    other.model.adapterSha256 = std::string(64, 'd');
    EXPECT_THAT(errorOf(ResultStoreMode::Resume, other), HasSubstr("field model.adapter_sha256: found null"));
    other = header;
    other.branches[1].parameters["window"] = "16";
    EXPECT_THAT(errorOf(ResultStoreMode::Resume, other),
        HasSubstr("field branches[1].parameters.window: found \"8\", expected \"16\""));
    other = header;
    other.options.clear();
    EXPECT_THAT(errorOf(ResultStoreMode::Resume, other),
        HasSubstr("field options.extractor: found \"flexible\", expected nothing"));
    EXPECT_THAT(readResults(file()).runs, SizeIs(1));
}

TEST_F(ResultStoreTest, EveryParameterTakesPartInTheComparison)
{
    using Change = std::function<void(RunHeader&)>;
    const std::vector<std::pair<std::string, Change>> changes{{"suite", [](RunHeader& h) { h.suite = "x"; }},
        {"tasks[0]", [](RunHeader& h) { h.tasks[0] = "x"; }}, {"shots", [](RunHeader& h) { h.shots = 1; }},
        {"level", [](RunHeader& h) { h.level = 1; }}, {"samples", [](RunHeader& h) { h.samples = 1; }},
        {"seed", [](RunHeader& h) { h.seed = 1; }},
        {"data_sha256", [](RunHeader& h) { h.dataSha256 = std::string(64, '1'); }},
        {"model.name", [](RunHeader& h) { h.model.name = "x"; }},
        {"model.device", [](RunHeader& h) { h.model.device = "x"; }}, {"chat", [](RunHeader& h) { h.chat = true; }},
        {"compress_span", [](RunHeader& h) { h.compressSpan = "context"; }},
        {"first_token", [](RunHeader& h) { h.firstToken = "compressed"; }},
        {"max_new_tokens", [](RunHeader& h) { h.maxNewTokens = 1; }},
        {"decode_keep", [](RunHeader& h) { h.decodeKeep = "1"; }},
        {"branches[0].spec", [](RunHeader& h) { h.branches[0].spec = "x"; }},
        {"options.extractor", [](RunHeader& h) { h.options["extractor"] = "x"; }},
        {"versions.kvloupe", [](RunHeader& h) { h.versions["kvloupe"] = "x"; }}};
    for (const auto& [field, change] : changes) {
        RunHeader other = header;
        change(other);
        EXPECT_THAT(firstDifference(header, other).value_or("none"), StartsWith(field + ": found ")) << field;
    }
}

TEST_F(ResultStoreTest, DoesNotTouchAFileThatIsNotItsOwn)
{
    for (const char* text : {"notes", "notes\n", "{\"format\":\"other\"", "{\"format\":\"kvloupe-results\"}\n"}) {
        folder.write("results.jsonl", text);
        EXPECT_THAT(errorOf(ResultStoreMode::Resume, header), HasSubstr("results.jsonl")) << text;
        EXPECT_THAT(errorOf(ResultStoreMode::New, header), HasSubstr("exists already")) << text;
        EXPECT_EQ(bytesOf(file()), text);
    }
    EXPECT_EQ(errorOf(ResultStoreMode::Replace, header), "no error");
    EXPECT_THAT(bytesOf(file()), EndsWith("}\n"));
    RunHeader empty = header;
    empty.branches.clear();
    EXPECT_THROW(ResultStore(file("new.jsonl"), empty, ResultStoreMode::New), ResultsError);
    EXPECT_FALSE(std::filesystem::exists(file("new.jsonl")));
    EXPECT_THROW(ResultStore(folder.path(), header, ResultStoreMode::Resume), ResultsError);
}

TEST_F(ResultStoreTest, RefusesASecondWriter)
{
    const ResultStore store(file(), header, ResultStoreMode::New);
    EXPECT_THAT(errorOf(ResultStoreMode::Resume, header), HasSubstr("another program is writing to it"));
    EXPECT_THAT(errorOf(ResultStoreMode::Replace, header), HasSubstr("another program is writing to it"));
}

TEST_F(ResultStoreTest, RefusesRowsThatAreNotOneSampleOfTheRun)
{
    ResultStore store(file(), header, ResultStoreMode::New);
    const std::string before = bytesOf(file());
    const auto refused = [&](const std::function<void(std::vector<ResultRow>&)>& change) {
        auto rows = madeSample(header, 0);
        change(rows);
        EXPECT_THROW(store.append(rows), ResultsError);
        EXPECT_EQ(bytesOf(file()), before);
    };
    refused([](auto& rows) { rows.pop_back(); });
    refused([](auto& rows) { std::swap(rows[0], rows[1]); });
    refused([](auto& rows) { rows[2].key.sample = "other"; });
    refused([](auto& rows) { rows[2].method.spec = "other"; });
    refused([](auto& rows) { rows[2].budget.text = "0.5"; });
    refused([](auto& rows) { rows[2].model.device = "cuda"; });
    refused([](auto& rows) { rows[4].outcome->score = std::numeric_limits<double>::quiet_NaN(); });
    EXPECT_FALSE(store.isComplete(madeRow(header, 0, 0).key));
}

TEST_F(ResultStoreTest, LeavesTheFileAsItWasWhenTheDiskIsFull)
{
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) { // a limit on the size of files stands in for the disk, and holds for this process alone
        std::signal(SIGXFSZ, SIG_IGN);
        ResultStore store(file(), header, ResultStoreMode::New);
        store.append(madeSample(header, 0));
        const std::string before = bytesOf(file());
        const rlimit limit{before.size() + 1000, before.size() + 1000};
        setrlimit(RLIMIT_FSIZE, &limit);
        try {
            store.append(madeSample(header, 1));
        } catch (const ResultsError& error) {
            const bool named = std::string(error.what()).find("cannot be written") != std::string::npos;
            _exit(named && bytesOf(file()) == before && !store.isComplete(madeRow(header, 0, 1).key) ? 0 : 1);
        }
        _exit(2);
    }
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST_F(ResultStoreTest, FilesThatWereJoinedAreReadAsRunsButNotGoneOnWith)
{
    {
        ResultStore store(file(), header, ResultStoreMode::New);
        finish(store, header);
    }
    const std::string one = bytesOf(file());
    folder.write("results.jsonl", one + one);
    const ResultFile read = readResults(file(), ResultTexts::Drop);
    ASSERT_THAT(read.runs, SizeIs(2));
    EXPECT_THAT(read.runs[1].rows, SizeIs(20));
    EXPECT_THAT(read.runs[1].rows[0].outcome->text, IsEmpty());
    EXPECT_THAT(errorOf(ResultStoreMode::Resume, header), HasSubstr("found 2 runs joined, expected one"));
}

} // namespace
} // namespace kvloupe
