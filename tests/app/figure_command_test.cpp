// SPDX-License-Identifier: GPL-3.0-or-later

#include "tests/app/program_run.h"
#include "tests/support/make_recording.h"
#include "tests/support/temporary_folder.h"
#include "tests/views/results/written_results.h"

#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <iterator>

namespace kvloupe {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class FigureCommand : public testing::Test {
protected:
    void SetUp() override
    {
        if (!isBuilt("kvloupe-view"))
            GTEST_SKIP() << "kvloupe-view was not built";
        writeResults(place("r.jsonl"), 10);
        makeRecording(place("r.h5"), {.layers = 2, .headDim = 16, .promptTokens = 96});
    }

    std::string place(const std::string& name) const { return (m_folder.path() / name).string(); }

    std::string bytesOf(const std::string& name) const
    {
        std::ifstream file(place(name), std::ios::binary);
        return {std::istreambuf_iterator<char>(file), {}};
    }

    static ProgramRun figure(std::vector<std::string> arguments)
    {
        arguments.insert(arguments.begin(), "figure");
        return runBuilt("kvloupe-view", arguments);
    }

    /// What is said about a command line that cannot be meant.
    std::string problemOf(std::vector<std::string> arguments) const
    {
        arguments.insert(arguments.end(), {"--out", place("x.svg")});
        const ProgramRun run = figure(arguments);
        EXPECT_NE(run.status, 0);
        EXPECT_FALSE(std::filesystem::exists(place("x.svg")));
        return run.err;
    }

    TemporaryFolder m_folder;
};

TEST_F(FigureCommand, EveryNameMakesItsFigureWithoutADisplay)
{
    for (const char* name : {"accuracy", "relative-drop", "nll", "kl"})
        EXPECT_EQ(figure({name, place("r.jsonl"), "--out", place("f.pdf"), "--out", place("f.csv")}).status, 0) << name;
    for (const char* name : {"sparsity", "cumulative", "spans", "attention"})
        EXPECT_EQ(figure({name, place("r.h5"), "--out", place("f.svg")}).status, 0) << name;
    const ProgramRun run = figure({"published", "--lines", "tasks", "--out", place("p.csv")});
    EXPECT_EQ(run.status, 0) << run.err;
    EXPECT_THAT(bytesOf("p.csv"), HasSubstr("\"published: arXiv:2502.01941v4, Table 7\",\"AR, 8 shots\""));
}

TEST_F(FigureCommand, ASpecFileGivesTheBytesOfItsOptions)
{
    m_folder.write("spec.json", R"({"figure": "accuracy", "inputs": ["r.jsonl"], "lines": "tasks", "width": 84})");
    ASSERT_EQ(
        figure({"accuracy", place("r.jsonl"), "--lines", "tasks", "--width", "84", "--out", place("a.pdf")}).status, 0);
    ASSERT_EQ(figure({place("spec.json"), "--out", place("b.pdf")}).status, 0);
    EXPECT_FALSE(bytesOf("a.pdf").empty());
    EXPECT_EQ(bytesOf("a.pdf"), bytesOf("b.pdf"));
}

TEST_F(FigureCommand, APageGivesTheSameBytesEveryTime)
{
    m_folder.write("page.json", R"({"figure": "page", "panels": [{"recording": "r.h5", "methods": ["snapkv"]},
        {"figure": "cumulative", "inputs": ["r.h5"]}, {"figure": "accuracy", "inputs": ["r.jsonl"], "column_span": 2}]})");
    for (const char* name : {"a", "b"}) {
        const std::string to = place(name);
        const ProgramRun run = figure({place("page.json"), "--out", to + ".pdf", "--out", to + ".svg", "--out",
            to + ".png", "--out", to + ".csv", "--out", to + ".tex"});
        ASSERT_EQ(run.status, 0) << run.err;
        EXPECT_EQ(run.err, "");
    }
    for (const char* suffix : {".pdf", ".svg", ".png", ".csv"}) {
        EXPECT_FALSE(bytesOf(std::string("a") + suffix).empty());
        EXPECT_EQ(bytesOf(std::string("a") + suffix), bytesOf(std::string("b") + suffix)) << suffix;
    }
    EXPECT_THAT(bytesOf("a.tex"), HasSubstr("{a.pdf}"));
    EXPECT_THAT(problemOf({place("page.json"), "--layer", "1"}), HasSubstr("--layer: found with the figure"));
    EXPECT_THAT(problemOf({place("page.json"), place("r.h5")}), HasSubstr("beside a page, expected none"));
}

TEST_F(FigureCommand, SeveralRecordingsGiveMapsSideBySide)
{
    ASSERT_EQ(figure({"attention", place("r.h5"), place("r.h5"), "--head", "1", "--out", place("maps.svg")}).status, 0);
    const std::string svg = bytesOf("maps.svg");
    EXPECT_THAT(svg, HasSubstr(">(a)<"));
    EXPECT_THAT(svg, HasSubstr(">(b)<"));
    EXPECT_EQ(svg.find(">attention<"), svg.rfind(">attention<")) << "one colour bar";
}

TEST_F(FigureCommand, WhatMethodsKeepIsAFigureByName)
{
    const std::vector<std::vector<std::string>> figures{{"overlap", "--method", "snapkv", "--method", "h2o"},
        {"shots", "--method", "snapkv"}, {"timeline", "--method", "h2o", "--layer", "0", "--head", "1"},
        {"text", "--method", "snapkv", "--keys", "0:20"}, {"heads", "--layer", "1"}};
    for (std::vector<std::string> arguments : figures) {
        arguments.insert(arguments.begin() + 1, place("r.h5"));
        arguments.insert(arguments.end(), {"--out", place("k.pdf"), "--out", place("k.csv")});
        const ProgramRun run = figure(arguments);
        EXPECT_EQ(run.status, 0) << arguments.front() << ": " << run.err;
    }
    EXPECT_THAT(
        problemOf({"overlap", place("r.h5"), "--scale", "log"}), HasSubstr("--scale: found with the figure overlap"));
    EXPECT_THAT(problemOf({"heads", place("r.h5"), "--layer", "7"}), HasSubstr("layer 7 was not recorded"));
}

TEST_F(FigureCommand, FiguresOfThePaperHaveTheirNumbers)
{
    for (const char* number : {"1a", "4a", "4b", "5", "6", "7", "8"})
        EXPECT_EQ(figure({std::string("paper:") + number, "--out", place("p.csv")}).status, 0) << number;
    ASSERT_EQ(figure({"paper:4b", place("r.jsonl"), "--out", place("a.svg")}).status, 0);
    ASSERT_EQ(figure({"relative-drop", place("r.jsonl"), "--lines", "tasks", "--out", place("b.svg")}).status, 0);
    EXPECT_EQ(bytesOf("a.svg"), bytesOf("b.svg"));
    EXPECT_EQ(figure({"paper:2", place("r.h5"), place("r.h5"), "--out", place("m.svg")}).status, 0);
    EXPECT_EQ(figure({"paper:3", place("r.h5"), "--out", place("c.svg")}).status, 0);
    EXPECT_THAT(problemOf({"paper:9"}), HasSubstr("expected one of 1a, 1b, 2, 3"));
}

TEST_F(FigureCommand, OptionsOfAnotherKindOfFigureAreRefused)
{
    EXPECT_THAT(problemOf({"accuracy", place("r.jsonl"), "--layer", "3"}),
        HasSubstr("--layer: found with the figure accuracy"));
    EXPECT_THAT(
        problemOf({"sparsity", place("r.h5"), "--paper"}), HasSubstr("--paper: found with the figure sparsity"));
    EXPECT_THAT(problemOf({"attention", place("r.h5"), "--lines", "tasks"}),
        HasSubstr("--lines: found with the figure attention"));
    EXPECT_THAT(problemOf({"cumulative", place("r.h5"), "--measure", "gini"}), HasSubstr("--measure: found"));
    EXPECT_THAT(problemOf({"accuracy", place("r.jsonl"), "--table", "7"}), HasSubstr("--table: found"));
}

TEST_F(FigureCommand, SaysWhatIsMissingOrMisspelt)
{
    EXPECT_THAT(problemOf({"acuracy", place("r.jsonl")}), HasSubstr("did you mean accuracy?"));
    EXPECT_THAT(problemOf({"accuracy"}), HasSubstr("no results file was given"));
    EXPECT_THAT(problemOf({"sparsity"}), HasSubstr("found 0 recordings"));
    EXPECT_THAT(problemOf({"attention", place("r.h5"), place("none.h5")}), HasSubstr("panels[1]: "));
    EXPECT_THAT(
        problemOf({"nll", place("r.jsonl"), "--axis", "heads"}), HasSubstr("expected kept, realised or tokens"));
    m_folder.write("cake.json", R"({"figure": "cake"})");
    EXPECT_THAT(problemOf({place("cake.json")}),
        HasSubstr("field \"figure\" is \"cake\", expected page or one of attention, accuracy"));
    EXPECT_THAT(problemOf({"accuracy", place("r.h5")}), StartsWith("kvloupe: error: "));
}

} // namespace
} // namespace kvloupe
