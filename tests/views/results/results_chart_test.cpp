// SPDX-License-Identifier: GPL-3.0-or-later

#include "tests/support/temporary_folder.h"
#include "tests/views/results/written_results.h"
#include "views/figure/figure_spec.h"
#include "views/results/published_chart.h"
#include "views/results/results_chart.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kvloupe {
namespace {

using testing::ElementsAre;
using testing::Eq;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

class ResultsChartTest : public testing::Test {
protected:
    void add(const RunHeader& header, int samples = 10)
    {
        const std::filesystem::path path = folder.path() / (std::to_string(files.size()) + ".jsonl");
        writeResults(path, samples, header);
        files.push_back(path);
    }

    std::string text(const ResultsSpec& spec = {})
    {
        data = readResultsData(files);
        return chartText(resultsChart(*data, spec)).toStdString();
    }

    TemporaryFolder folder;
    std::vector<std::filesystem::path> files;
    std::shared_ptr<const ResultsData> data;
};

TEST_F(ResultsChartTest, ShowsEveryMethodAgainstTheKeptShareWithWilsonsIntervalAndN)
{
    add(madeHeader());
    // 8 of 10 right: Wilson's interval is 49.02 to 94.33 %.
    EXPECT_EQ(text(),
        "made-135m, fundamental\n"
        "# ar\n"
        "kept share asked for (%) 100 to 0, accuracy (%) 0 to 100\n"
        "-- full cache at 80\n"
        "full cache: 100=80 [49.02, 94.33] n=10\n"
        "SnapKV: 10=40 [16.82, 68.73] n=10; 30=70 [39.68, 89.22] n=10\n"
        "H2O: 10=20 [5.668, 50.98] n=10; 30=60 [31.27, 83.18] n=10\n"
        "Whiskers: Wilson's 95 % interval of the accuracy. n = 10 at every point.\n"
        "No chat template; budget of the prompt; first token from the full cache.\n");
}

TEST_F(ResultsChartTest, ShowsRelativeChangeTokensAndLikelihoodOnOtherAxes)
{
    add(madeHeader());
    ResultsSpec spec;
    spec.measure = ResultMeasure::RelativeDrop;
    EXPECT_THAT(text(spec), HasSubstr("SnapKV: 10=-50 n=10; 30=-12.5 n=10"));
    EXPECT_THAT(text(spec), HasSubstr("-- full cache at 0"));
    spec.axis = ResultAxis::Tokens;
    EXPECT_THAT(text(spec), HasSubstr("tokens per head asked for 30 to 10"));
    EXPECT_THAT(text(spec), HasSubstr("H2O: 10=-75 n=10; 30=-25 n=10"));
    spec.measure = ResultMeasure::NllDifference;
    // Branch b adds 0.25 b nats over 5 tokens to every sample, so intervals have no width.
    EXPECT_THAT(text(spec), HasSubstr("SnapKV: 10=0.15 [0.15, 0.15] n=10; 30=0.05 [0.05, 0.05] n=10"));
    spec.measure = ResultMeasure::Divergence;
    EXPECT_THAT(text(spec), HasSubstr("H2O: 10=0.4 n=10; 30=0.2 n=10"));
}

TEST_F(ResultsChartTest, HasAPanelPerTaskAndModelAndNamesOnlyWhatDiffers)
{
    add(headerOf("ar"));
    add(headerOf("wk"));
    add(headerOf("ar", "other-1b"));
    const std::string all = text();
    EXPECT_THAT(all, HasSubstr("# ar, made-135m\n"));
    EXPECT_THAT(all, HasSubstr("# wk, made-135m\n"));
    EXPECT_THAT(all, HasSubstr("# ar, other-1b\n"));
    EXPECT_THAT(all, testing::StartsWith("fundamental\n")) << "what all share stands above";

    ResultsSpec spec;
    spec.tasks = {"wk"};
    spec.methods = {"h2o"};
    const std::string few = text(spec);
    EXPECT_THAT(few, HasSubstr("made-135m, fundamental\n# wk\n"));
    EXPECT_THAT(few, Not(HasSubstr("SnapKV")));
    EXPECT_THAT(few, HasSubstr("full cache: 100=80"));
}

TEST_F(ResultsChartTest, SettingsThatDifferAreNeverInOnePanel)
{
    add(madeHeader());
    RunHeader chat = madeHeader();
    chat.chat = true;
    add(chat);
    EXPECT_THAT(text(), HasSubstr("# ar, no chat template\n"));
    EXPECT_THAT(text(), HasSubstr("# ar, chat template\n"));
}

TEST_F(ResultsChartTest, ReadingStopsInTheMiddleOfAFile)
{
    add(madeHeader(), 40);
    int asked = 0;
    EXPECT_EQ(readResultsData(files, [&] { return ++asked > 20; }), nullptr);
    EXPECT_EQ(asked, 22) << "at the line that follows, and once more to tell a stop from an error";
    EXPECT_NE(readResultsData(files, [] { return false; }), nullptr);
}

TEST_F(ResultsChartTest, MethodsOfOneNameAreToldApartByTheirSpec)
{
    RunHeader header = madeHeader();
    header.branches[2] = {"snapkv", "snapkv:window=64", {{"kernel", "7"}, {"window", "64"}}, "keep", "0.3"};
    header.branches[4] = {"snapkv", "snapkv:window=64", {{"kernel", "7"}, {"window", "64"}}, "keep", "0.1"};
    add(header);
    EXPECT_THAT(text(), HasSubstr("snapkv:window=8: 10=40"));
    EXPECT_THAT(text(), HasSubstr("snapkv:window=64: 10=20"));
}

TEST_F(ResultsChartTest, LinesMayBeMeansOverMethodsByTaskOrByModel)
{
    add(headerOf("ar"));
    add(headerOf("wk"));
    ResultsSpec spec;
    spec.lines = ResultLines::Tasks;
    const std::string tasks = text(spec);
    EXPECT_THAT(tasks, HasSubstr("ar: 10=30 [")) << "of 40 and 20";
    EXPECT_THAT(tasks, HasSubstr("; 30=65 ["));
    EXPECT_THAT(tasks, HasSubstr("; 100=80 [")) << "the full cache is where a line begins";
    EXPECT_THAT(tasks, HasSubstr("wk: 10=30 ["));
    EXPECT_THAT(resultsChart(*data, spec).panels, SizeIs(1));

    add(headerOf("ar", "other-1b"));
    spec.lines = ResultLines::Models;
    const std::string models = text(spec);
    EXPECT_THAT(models, HasSubstr("# ar\n"));
    EXPECT_THAT(models, HasSubstr("made-135m: 10=30 ["));
    EXPECT_THAT(models, HasSubstr("other-1b: 10=30 ["));
}

TEST_F(ResultsChartTest, PutsThePapersNumbersUnderOursAndNeverAmongThem)
{
    add(madeHeader());
    ResultsSpec spec;
    spec.paper = true;
    data = readResultsData(files);
    ASSERT_THAT(data->publishedProblem, IsEmpty());
    const Chart chart = resultsChart(*data, spec);
    ASSERT_THAT(chart.panels, SizeIs(2));
    EXPECT_TRUE(chart.panels[0].source.isEmpty());
    for (const ChartSeries& series : chart.panels[0].series) {
        EXPECT_FALSE(series.dashed);
        for (const ChartPoint& point : series.points)
            EXPECT_GE(point.number, 0);
    }
    const ChartPanel& paper = chart.panels[1];
    EXPECT_TRUE(paper.below);
    EXPECT_EQ(paper.source, QStringLiteral("published: arXiv:2502.01941v4, Table 7"));
    EXPECT_EQ(paper.title, QStringLiteral("AR, 8 shots, LLaMA-3.1-8B-Instruct"));
    for (const ChartSeries& series : paper.series) {
        EXPECT_TRUE(series.dashed);
        EXPECT_EQ(series.points.size(), series.name == QStringLiteral("full cache") ? 1U : 9U);
        for (const ChartPoint& point : series.points) {
            EXPECT_EQ(point.number, -1) << "no samples of ours stand behind it";
            EXPECT_FALSE(point.interval);
        }
        if (series.name == QStringLiteral("SnapKV")) {
            EXPECT_EQ(series.color, chart.panels[0].series[1].color) << "a method looks the same in both";
            EXPECT_NEAR(series.points.front().y, 50.34, 1e-9) << "Table 7, 10 %";
        }
    }
    spec.measure = ResultMeasure::NllDifference;
    EXPECT_THAT(resultsChart(*data, spec).panels, SizeIs(1)) << "the paper has no likelihoods";
}

TEST_F(ResultsChartTest, ATaskThatThePaperDoesNotHaveStandsAlone)
{
    add(headerOf("niah"));
    ResultsSpec spec;
    spec.paper = true;
    EXPECT_THAT(text(spec), Not(HasSubstr("arXiv")));
}

TEST_F(ResultsChartTest, PanelsHaveOneScaleOrTheirOwn)
{
    add(headerOf("ar"));
    add(headerOf("wk"), 7); // all of these are right with the full cache
    ResultsSpec spec;
    spec.measure = ResultMeasure::RelativeDrop;
    data = readResultsData(files);
    const Chart same = resultsChart(*data, spec);
    EXPECT_EQ(same.panels[0].y.low, same.panels[1].y.low);
    spec.sameScale = false;
    const Chart own = resultsChart(*data, spec);
    EXPECT_GT(own.panels[0].y.low, -85.0);
    EXPECT_THAT(own.panels[1].y.low, Eq(-80.0)) << "2 of 7 against 7 of 7";
    EXPECT_THAT(own.panels[0].y.low, Eq(-80.0));
}

TEST_F(ResultsChartTest, ATooltipTellsEveryNumberOfItsPoint)
{
    add(madeHeader());
    data = readResultsData(files);
    const Chart chart = resultsChart(*data, {});
    const std::string text = chart.panels[0].series[1].points[0].text.toStdString();
    for (const char* part :
        {"ar: SnapKV", "snapkv:window=8", "asked to keep 10.0 % (10.0 tokens per head), kept 10.0 %",
            "accuracy 40.0 % (16.8 to 68.7, Wilson 95 %), n = 10", "-50.0 % relative to the full cache",
            "4 lost, 0 gained of 10 pairs", "McNemar p = 0.125 (exact), 0.125 after Holm's correction",
            "gold answer 0.150 nats per token above", "KL to the full cache 0.300"})
        EXPECT_THAT(text, HasSubstr(part));
}

TEST_F(ResultsChartTest, SkippedSamplesAreCountedAndPointsWithoutAnyLeftOut)
{
    RunHeader header = madeHeader();
    {
        ResultStore store(folder.path() / "s.jsonl", header, ResultStoreMode::New);
        std::vector<ResultRow> rows = judgedSample(header, 0);
        rows[4] = skippedRow(rows[4], "too long");
        store.append(rows);
    }
    files.push_back(folder.path() / "s.jsonl");
    const std::string chart = text();
    EXPECT_THAT(chart, HasSubstr("H2O: 30=100"));
    EXPECT_THAT(chart, Not(HasSubstr("H2O: 10=")));
}

TEST(PublishedChart, ShowsATableAsItIsPrinted)
{
    const std::vector<PublishedValue> values = publishedResults();
    ResultsSpec spec;
    spec.measure = ResultMeasure::RelativeDrop;
    spec.lines = ResultLines::Tasks;
    const Chart tasks = publishedChart(values, spec);
    ASSERT_THAT(tasks.panels, SizeIs(1));
    std::vector<std::string> lines;
    for (const ChartSeries& series : tasks.panels[0].series)
        lines.push_back(series.name.toStdString());
    EXPECT_THAT(lines,
        testing::UnorderedElementsAre("WK, 5 shots", "AR, 8 shots", "CSR, 4 shots", "SA, 8 shots", "CG, 8 shots"));
    for (const ChartSeries& series : tasks.panels[0].series)
        if (series.name == QStringLiteral("AR, 8 shots")) {
            EXPECT_NEAR(series.points.front().y, -35.3, 0.05) << "arXiv 2502.01941v4, GSM8K at 10 %";
        }

    spec.lines = ResultLines::Shots;
    const Chart shots = publishedChart(values, spec);
    ASSERT_THAT(shots.panels, SizeIs(1));
    EXPECT_THAT(shots.panels[0].series, SizeIs(5)) << "1, 2, 4, 6 and 8 shots";
    EXPECT_THAT(shots.panels[0].source.toStdString(), HasSubstr("Table 9"));

    spec.lines = ResultLines::Models;
    EXPECT_THAT(publishedChart(values, spec).panels[0].series, SizeIs(2)) << "instruct and R1";

    spec.lines = ResultLines::Methods;
    spec.table = "10";
    EXPECT_THAT(publishedChart(values, spec).panels, SizeIs(2)) << "two models with 50 shots";
}

TEST(PublishedChart, SaysWhatThePaperDoesNotHave)
{
    const auto problemOf = [](const ResultsSpec& spec) -> std::string {
        try {
            publishedChart(publishedResults(), spec);
        } catch (const FigureError& error) {
            return error.what();
        }
        return "nothing was thrown";
    };
    ResultsSpec spec;
    spec.table = "99";
    EXPECT_THAT(problemOf(spec), HasSubstr("found no sweep over the kept share in table \"99\", expected one of 10, "));
    spec.measure = ResultMeasure::Divergence;
    EXPECT_THAT(problemOf(spec), HasSubstr("found the measure kl, expected accuracy or relative-drop"));
}

} // namespace
} // namespace kvloupe
