// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/figure/figure_command.h"
#include "views/figure/figure_spec.h"

#include <nlohmann/json.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kvloupe {
namespace {

using testing::HasSubstr;

/// Message of the FigureError or MethodError that reading `json` ends in.
std::string problemOf(std::string_view json)
{
    try {
        figureSpecFromJson(json, "/data/f.json");
    } catch (const Error& error) {
        return error.what();
    }
    return "nothing was thrown";
}

TEST(FigureSpec, ReadsBackWhatItWrites)
{
    FigureSpec spec;
    spec.recording = "/data/r.h5";
    spec.sample = "gsm8k-3";
    spec.layer = 12;
    spec.head = 7;
    spec.methods = {"snapkv@kvpress:window=64", "h2o"};
    spec.budget = Budget::keep("0.29");
    spec.colorMap = ColorMap::Magma;
    spec.scale = ColorScale::SquareRoot;
    spec.pooling = Pooling::Mean;
    spec.queries = TokenRange{100, 200};
    spec.keys = TokenRange{0, -1};
    spec.title = "";
    spec.widthMm = 84.5;
    spec.dpi = 600;
    const FigureSpec read = figureSpecFromJson(figureSpecToJson(spec).dump(), "/elsewhere/f.json");
    EXPECT_EQ(figureSpecToJson(read), figureSpecToJson(spec));
    EXPECT_EQ(read.budget.text(), "0.29");
}

TEST(FigureSpec, FindsARelativeRecordingBesideTheFile)
{
    EXPECT_EQ(figureSpecFromJson(R"({"recording": "r.h5"})", "/data/f.json").recording, "/data/r.h5");
}

TEST(FigureSpec, KeepsBudgetsAsTyped)
{
    EXPECT_EQ(figureSpecFromJson(R"({"keep": 0.29})", "f.json").budget.tokensKept(100), 29);
    EXPECT_EQ(figureSpecFromJson(R"({"capacity": 64})", "f.json").budget.tokensKept(100), 64);
}

TEST(FigureSpec, NamesTheFieldThatIsWrong)
{
    EXPECT_THAT(problemOf("{"), HasSubstr("/data/f.json: is not valid JSON"));
    EXPECT_THAT(problemOf(R"({"dpi": )" + std::string(200'000, '[') + std::string(200'000, ']') + "}"),
        HasSubstr("nested deeper"));
    EXPECT_THAT(problemOf("[]"), HasSubstr("expected an object"));
    EXPECT_THAT(problemOf(R"({"layer": -1})"), HasSubstr("field \"layer\" is -1, expected a whole number"));
    EXPECT_THAT(problemOf(R"({"layer": 99999999999})"), HasSubstr("layer"));
    EXPECT_THAT(problemOf(R"({"colormap": "jet"})"), HasSubstr("viridis"));
    EXPECT_THAT(problemOf(R"({"methods": "h2o"})"), HasSubstr("methods"));
    EXPECT_THAT(problemOf(R"({"keys": "9:3"})"), HasSubstr("BEGIN:END"));
    EXPECT_THAT(problemOf(R"({"widht": 3})"), HasSubstr("unknown field \"widht\""));
    EXPECT_THAT(problemOf(R"({"width": 1e9})"), HasSubstr("width"));
    EXPECT_THAT(problemOf(R"({"low": 0.5, "high": 0.1})"), HasSubstr("range"));
    EXPECT_THAT(problemOf(R"({"keep": 0.5, "capacity": 3})"), HasSubstr("expected one"));
    EXPECT_THAT(problemOf(R"({"keep": 1.5})"), HasSubstr("1.5"));
}

TEST(FigureSpec, ReadsTokenRanges)
{
    EXPECT_EQ(parseTokenRange("3:9", "keys", 100), (TokenRange{3, 9}));
    EXPECT_EQ(parseTokenRange("3:", "keys", 100), (TokenRange{3, 100}));
    EXPECT_EQ(parseTokenRange(":9", "keys", 100), (TokenRange{0, 9}));
    for (const char* wrong : {"", "3", "a:b", "3:3", "-1:4", "1:99999999999999999999", "1:2:3"})
        EXPECT_THROW(parseTokenRange(wrong, "keys", 100), FigureError) << wrong;
}

TEST(FigureCommandLine, NamesWhatDiffersFromTheDefaultsQuotedForAShell)
{
    FigureSpec spec;
    spec.recording = "/data/it's here.h5";
    spec.layer = 2;
    spec.methods = {"snapkv:window=8"};
    spec.dpi = 600;
    EXPECT_EQ(figureCommandLine(spec, "f.pdf"),
        R"(kvloupe figure attention '/data/it'\''s here.h5' --sample 0 --layer 2 --head 0 --method snapkv:window=8 --keep 0.3 --dpi 600 --out f.pdf)");
}

} // namespace
} // namespace kvloupe
