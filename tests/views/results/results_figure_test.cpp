// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/results/results_error.h"
#include "tests/views/results/written_results.h"
#include "tests/views/widget_test.h"
#include "views/figure/figure_spec.h"
#include "views/results/results_figure.h"

#include <QFile>

#include <gmock/gmock.h>

namespace kvloupe {
namespace {

using testing::HasSubstr;

class ResultsFigureTest : public WidgetTest {
protected:
    std::filesystem::path place(const char* name) const { return temporaryPath(QString::fromUtf8(name)).toStdString(); }

    static QByteArray bytesOf(const std::filesystem::path& path)
    {
        QFile file(QString::fromStdString(path.string()));
        EXPECT_TRUE(file.open(QIODevice::ReadOnly)) << path;
        return file.readAll();
    }

    std::string problemOf(const ResultsFigure& figure) const
    {
        try {
            writeResultsFigure(figure, {place("f.svg")});
        } catch (const Error& error) {
            return error.what();
        }
        return "nothing was thrown";
    }
};

TEST_F(ResultsFigureTest, TheCommandLineAndASpecGiveTheSameBytes)
{
    writeResults(place("r.jsonl"), 10);
    ResultsFigure figure = *resultsFigureOf("relative-drop");
    figure.files = {place("r.jsonl")};
    figure.spec.paper = true;
    figure.spec.axis = ResultAxis::Kept;
    figure.page.widthMm = 100.0;
    writeResultsFigure(figure, {place("a.pdf"), place("a.svg"), place("a.csv")});
    const ResultsFigure same = resultsFigureFromJson(
        R"({"figure": "relative-drop", "inputs": ["r.jsonl"], "paper": true, "width": 100})", place("spec.json"));
    writeResultsFigure(same, {place("b.pdf"), place("b.svg"), place("b.csv")});
    EXPECT_EQ(bytesOf(place("a.pdf")), bytesOf(place("b.pdf")));
    EXPECT_EQ(bytesOf(place("a.svg")), bytesOf(place("b.svg")));
    EXPECT_EQ(bytesOf(place("a.csv")), bytesOf(place("b.csv")));
    EXPECT_THAT(bytesOf(place("a.csv")).toStdString(),
        HasSubstr("\"ar\",\"\",\"SnapKV\",\"kept share asked for (%)\",10,,,\"relative change (%)\",-50,,,10\n"));
    EXPECT_THAT(bytesOf(place("a.svg")).toStdString(), HasSubstr("sha256 " + std::string(64, 'a')))
        << "a figure says what it was made from";
}

TEST_F(ResultsFigureTest, SaysWhatIsWrongWithItsInput)
{
    ResultsFigure figure = *resultsFigureOf("accuracy");
    EXPECT_THAT(problemOf(figure), HasSubstr("no results file was given"));
    figure.files = {place("none.jsonl")};
    EXPECT_THAT(problemOf(figure), HasSubstr("none.jsonl: cannot be opened"));
    writeResults(place("r.jsonl"), 1);
    figure.files = {place("r.jsonl")};
    figure.spec.tasks = {"lg"};
    EXPECT_THAT(problemOf(figure), HasSubstr("found no sample with the measure accuracy of task lg"));
    ResultsFigure published = *resultsFigureOf("published");
    published.files = figure.files;
    EXPECT_THAT(problemOf(published), HasSubstr("expected no file"));
    EXPECT_FALSE(QFile::exists(temporaryPath(QStringLiteral("f.svg"))));
    EXPECT_FALSE(resultsFigureOf("attention"));

    const auto specProblem = [](const char* json) -> std::string {
        try {
            resultsFigureFromJson(json, "/data/s.json");
        } catch (const FigureError& error) {
            return error.what();
        }
        return "nothing was thrown";
    };
    EXPECT_THAT(specProblem(R"({"figure": "nll", "lines": "heads"})"),
        HasSubstr("/data/s.json: field \"lines\" is \"heads\", expected methods, tasks, shots or models"));
    EXPECT_THAT(specProblem(R"({"figure": "nll", "layer": 3})"), HasSubstr("unknown field \"layer\""));
    EXPECT_THAT(specProblem(R"({"figure": "nll", "width": 3})"), HasSubstr("width: found 3"));
    EXPECT_THAT(specProblem(R"({"figure": "cake"})"), HasSubstr("field \"figure\" is \"cake\""));
    EXPECT_THAT(specProblem("[1"), HasSubstr("not valid JSON"));
}

TEST(ResultsCommandLine, NamesWhatDiffersFromTheDefaults)
{
    ResultsSpec spec;
    EXPECT_EQ(resultsCommandLine(spec, {"r.jsonl"}, "f.pdf"), "kvloupe figure accuracy r.jsonl --out f.pdf");
    spec.measure = ResultMeasure::NllDifference;
    spec.axis = ResultAxis::Tokens;
    spec.lines = ResultLines::Tasks;
    spec.paper = true;
    spec.sameScale = false;
    spec.tasks = {"ar"};
    EXPECT_EQ(resultsCommandLine(spec, {"a b.jsonl"}, "f.pdf"),
        "kvloupe figure nll 'a b.jsonl' --axis tokens --lines tasks --task ar --paper --own-scale --out f.pdf");
}

} // namespace
} // namespace kvloupe
