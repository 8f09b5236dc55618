// SPDX-License-Identifier: GPL-3.0-or-later
//
// summarize on small made-up files of results, as a person or a script would use it.

#include "tests/app/program_run.h"
#include "tests/support/made_results.h"
#include "tests/support/temporary_folder.h"

#include <algorithm>
#include <gmock/gmock.h>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace kvloupe {
namespace {

using Json = nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

std::string resultsText(const RunHeader& header, int samples)
{
    std::string text = headerLine(header) + "\n";
    for (int sample = 0; sample < samples; ++sample)
        for (ResultRow& row : madeSample(header, sample)) {
            row.outcome->score = row.branch == 4 && sample % 2 == 0 ? 0.0 : 1.0;
            text += resultLine(row) + "\n";
        }
    return text;
}

class Summarize : public ::testing::Test {
protected:
    ProgramRun summarize(std::vector<std::string> arguments) const
    {
        arguments.insert(arguments.begin(), {"summarize", file});
        return runBuilt("kvloupe", arguments);
    }

    TemporaryFolder folder;
    std::string file = folder.write("results.jsonl", resultsText(madeHeader(), 10)).string();
};

TEST_F(Summarize, PrintsATableWithTheSettingsAboveIt)
{
    const ProgramRun run = summarize({});
    EXPECT_EQ(run.status, 0) << run.err;
    EXPECT_THAT(run.err, IsEmpty());
    EXPECT_THAT(run.out, StartsWith("model: made-135m\n"));
    EXPECT_THAT(run.out, HasSubstr("\nfirst token from: full cache\n"));
    EXPECT_THAT(run.out, HasSubstr("\nchat template: off\n"));
    EXPECT_THAT(run.out, HasSubstr("\nbudget of: prompt\n"));
    EXPECT_THAT(run.out, HasSubstr("\nsets per: kv_head\n"));
    EXPECT_THAT(run.out, HasSubstr("  asked tokens  kept %  kept tokens  "));
    EXPECT_THAT(run.out, HasSubstr("-50.0"));
}

TEST_F(Summarize, GivesTheSameNumbersAsJsonCsvAndLatex)
{
    const ProgramRun json = summarize({"--json"});
    EXPECT_EQ(json.status, 0) << json.err;
    const Json rows = Json::parse(json.out);
    ASSERT_EQ(rows.size(), 5U);
    EXPECT_EQ(rows[4]["method"], "h2o");
    EXPECT_EQ(rows[4]["accuracy_fraction"], 0.5);
    EXPECT_EQ(rows[4]["relative_drop_fraction"], -0.5);
    EXPECT_EQ(rows[4]["mcnemar_p_holm"], 0.125); // five lost of five discordant pairs, two methods

    const ProgramRun csv = summarize({"--csv"});
    EXPECT_EQ(std::ranges::count(csv.out, '\n'), 6);
    EXPECT_THAT(csv.out, HasSubstr(",accuracy_fraction,"));
    EXPECT_THAT(csv.out, HasSubstr(",0.5,"));

    const ProgramRun latex = summarize({"--latex"});
    EXPECT_THAT(latex.out, HasSubstr("\\begin{tabular}{"));
    EXPECT_THAT(latex.out, HasSubstr("made-135m"));
    EXPECT_THAT(latex.out, HasSubstr("kv\\_head"));
}

TEST_F(Summarize, SplitsByWhatItIsTold)
{
    const ProgramRun run = summarize({"--by", "task,keep", "--json"});
    EXPECT_EQ(run.status, 0) << run.err;
    const Json rows = Json::parse(run.out);
    ASSERT_EQ(rows.size(), 3U);
    EXPECT_EQ(rows[2]["budget"], "0.1");
    EXPECT_EQ(rows[2]["accuracy_fraction"], 0.75);
    EXPECT_TRUE(rows[2]["method"].is_null());

    const ProgramRun wrong = summarize({"--by", "task,metod"});
    EXPECT_EQ(wrong.status, 2);
    EXPECT_THAT(wrong.err, HasSubstr("found \"metod\" (did you mean method?)"));
}

TEST_F(Summarize, JoinsFilesAndKeepsModelsApart)
{
    RunHeader other = madeHeader();
    other.model.name = "other";
    other.model.fileSha256 = std::string(64, 'c');
    const std::string second = folder.write("second.jsonl", resultsText(other, 3)).string();
    const ProgramRun run = summarize({second, "--json"});
    EXPECT_EQ(run.status, 0) << run.err;
    const Json rows = Json::parse(run.out);
    ASSERT_EQ(rows.size(), 10U);
    EXPECT_EQ(rows[0]["samples_count"], 10);
    EXPECT_EQ(rows[5]["model"], "other");
    EXPECT_EQ(rows[5]["samples_count"], 3);

    const ProgramRun again = summarize({file});
    EXPECT_THAT(again.err, HasSubstr("measured in an earlier run as well: 50 rows"));
}

TEST_F(Summarize, SaysWhatItLeftOut)
{
    const std::string text = resultsText(madeHeader(), 2);
    const std::string row = resultLine(madeRow(madeHeader(), 0, 2)) + "\n";
    file = folder.write("cut.jsonl", text + row + row.substr(0, 100)).string();
    const ProgramRun run = summarize({"--json"});
    EXPECT_EQ(run.status, 0);
    EXPECT_THAT(run.err, HasSubstr("cut.jsonl: the last line is not finished (100 bytes); it was left out\n"));
    EXPECT_THAT(run.err, HasSubstr("cut.jsonl: 1 row of samples that were not completed were left out"));
    EXPECT_EQ(Json::parse(run.out)[0]["samples_count"], 2);

    file = folder.write("begun.jsonl", headerLine(madeHeader()) + "\n").string();
    EXPECT_EQ(summarize({}).out, "no complete samples\n");
}

TEST_F(Summarize, RefusesADamagedFileInOneLine)
{
    folder.write("results.jsonl", resultsText(madeHeader(), 1) + "{\"type\":\"row\"}\n");
    const ProgramRun run = summarize({});
    EXPECT_EQ(run.status, 1);
    EXPECT_EQ(run.err, "kvloupe: error: " + file + ", line 7, field version: found nothing, expected the field\n");
    EXPECT_THAT(run.out, IsEmpty());
    file = (folder.path() / "missing.jsonl").string();
    EXPECT_EQ(summarize({}).status, 1);
    EXPECT_EQ(runBuilt("kvloupe", {"summarize"}).status, 2);
    EXPECT_EQ(summarize({"--csv", "--json"}).status, 2);
}

} // namespace
} // namespace kvloupe
