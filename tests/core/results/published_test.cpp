// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/results/published.h"

#include "core/results/results_error.h"
#include "tests/support/temporary_folder.h"

#include <algorithm>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>
#include <set>
#include <tuple>

namespace kvloupe {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

const std::set<std::string> sweeps{"main_sweep.csv", "training.csv", "shots.csv", "many_shot_sweep.csv"};
const std::set<std::string> fiveMethods{"streaming_llm", "h2o", "snapkv", "pyramidkv", "chunkkv"};

/// File, model, task, shots, share kept: a row of a sweep.
using SweepRow = std::tuple<std::string, std::string, std::string, int, double>;

std::map<SweepRow, std::map<std::string, double>> sweepRows()
{
    std::map<SweepRow, std::map<std::string, double>> rows;
    for (const PublishedValue& value : publishedResults())
        if (sweeps.contains(value.file) && value.method != "full")
            rows[{value.file, value.model, value.task, value.shots.value(), value.keptPercent.value()}][value.method]
                = value.value;
    return rows;
}

TEST(Published, TheMeanOfTheFiveMethodsIsThePrintedMeanInEveryRowOfTheSweeps)
{
    const auto rows = sweepRows();
    // Twelve blocks of nine ratios, three of which stand in a second table: GSM8K with 8 shots twice, HumanEval once.
    ASSERT_THAT(rows, SizeIs((12 + 3) * 9));
    for (const auto& [row, methods] : rows) {
        SCOPED_TRACE(std::get<0>(row) + " " + std::get<1>(row) + " " + std::get<2>(row) + " "
            + std::to_string(std::get<4>(row)));
        ASSERT_THAT(methods, SizeIs(6));
        double sum = 0.0;
        for (const std::string& method : fiveMethods)
            sum += methods.at(method);
        EXPECT_NEAR(sum / 5.0, methods.at("mean_of_5"), 0.5e-4 + 1e-9); // printed with four digits
    }
}

TEST(Published, HoldsTheNumbersThatThePaperIsKnownFor)
{
    const auto values = publishedResults();
    const auto one = [&](const std::string& file, const std::string& task, const std::string& method, double kept) {
        const auto found = std::ranges::find_if(values, [&](const PublishedValue& value) {
            return value.file == file && value.task == task && value.method == method && value.keptPercent == kept;
        });
        return found == values.end() ? -1.0 : found->value;
    };
    EXPECT_EQ(one("main_sweep.csv", "AR", "full", 100), 0.7945);
    EXPECT_EQ(one("main_sweep.csv", "AR", "h2o", 10), 0.4503);
    EXPECT_EQ(one("main_sweep.csv", "WK", "pyramidkv", 10), 0.6882);
    EXPECT_EQ(one("long_generation.csv", "LG", "shotkv", 40), 47.33);
    EXPECT_EQ(one("many_shot.csv", "AR", "shotkv", 10), 80.37);
    EXPECT_EQ(one("hotpotqa.csv", "QA", "pyramidkv", 30), 44.56);
    EXPECT_EQ(one("qwen3.csv", "AR", "chunkkv", 30), 80.41);
    EXPECT_EQ(one("latency.csv", "latency 8192 x 4096", "full", 100), 183.42);
}

TEST(Published, EveryValueSaysWhereItIsFromAndHowManyThereAre)
{
    const auto values = publishedResults();
    EXPECT_THAT(values, SizeIs(944));
    for (const PublishedValue& value : values) {
        EXPECT_THAT(value.source, HasSubstr("arXiv:2502.01941v4, Table"));
        EXPECT_THAT(value.source, HasSubstr(value.table.substr(0, value.table.find('/'))));
        EXPECT_THAT((std::set<std::string>{"fraction", "percent", "seconds", "tokens_per_second"}),
            ::testing::Contains(value.unit));
    }
}

TEST(Published, TheBaseModelsBlockIsFlaggedAsTheRepetitionThatItIs)
{
    std::map<std::pair<std::string, double>, double> humanEval;
    int compared = 0;
    for (const PublishedValue& value : publishedResults())
        if (value.file == "main_sweep.csv" && value.task == "CG")
            humanEval[{value.method, value.keptPercent.value()}] = value.value;
    for (const PublishedValue& value : publishedResults())
        if (value.model == "LLaMA-3.1-8B") {
            EXPECT_EQ(value.value, humanEval.at({value.method, value.keptPercent.value()}));
            EXPECT_THAT(value.note, HasSubstr("probably not GSM8K"));
            ++compared;
        }
    EXPECT_EQ(compared, 55);
}

TEST(Published, RefusesADamagedFileAndNamesLineAndColumn)
{
    const TemporaryFolder folder;
    const std::string header = "table,model,task,shots,method,kept_percent,value,unit,note,source\n";
    const auto errorOf = [&](const std::string& row) {
        folder.write("a.csv", header + row);
        try {
            publishedResults(folder.path());
        } catch (const ResultsError& error) {
            return std::string(error.what());
        }
        return std::string("no error");
    };
    EXPECT_EQ(errorOf("7,m,AR,8,h2o,10,0.45,fraction,,s\n"), "no error");
    EXPECT_THAT(
        errorOf("7,m,AR,8,h2o,101,0.45,fraction,,s\n"), HasSubstr("line 2, column kept_percent: found \"101\""));
    EXPECT_THAT(errorOf("7,m,AR,8,h2o,10,nan,fraction,,s\n"), HasSubstr("line 2, column value: found \"nan\""));
    EXPECT_THAT(errorOf("7,m,AR,8,h2o,10,,fraction,,s\n"), HasSubstr("column value: found \"\", expected a number"));
    EXPECT_THAT(errorOf("7,m,AR,8x,h2o,10,1,fraction,,s\n"), HasSubstr("column shots"));
    folder.write("a.csv", "table,model\n");
    EXPECT_THROW(publishedResults(folder.path()), ResultsError);
    EXPECT_THROW(publishedResults(folder.path() / "none"), ResultsError);
}

} // namespace
} // namespace kvloupe
