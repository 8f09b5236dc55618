// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/json/shallow_json.h"

#include <gtest/gtest.h>

#include <string>

namespace kvloupe {
namespace {

std::string problemOf(const std::string& text, int deepest = 16)
{
    try {
        parseShallowJson(text, deepest);
    } catch (const JsonTextError& error) {
        return error.what();
    }
    return {};
}

TEST(ShallowJson, ReadsWhatIsNotTooDeep)
{
    EXPECT_EQ(parseShallowJson(R"({"a": [[1]]})", 3).dump(), R"({"a":[[1]]})");
    EXPECT_EQ(parseShallowJson<nlohmann::ordered_json>(R"({"b": 1, "a": 2})").dump(), R"({"b":1,"a":2})");
    EXPECT_EQ(parseShallowJson("[1,[2],[3],[4]]", 2).size(), 4U) << "depth, not number";
}

TEST(ShallowJson, RefusesDepthBeforeAnybodyPrintsTheValue)
{
    EXPECT_EQ(problemOf("[[[1]]]", 2), "JSON is nested deeper than 2 levels");
    EXPECT_EQ(problemOf(R"({"a": {"b": {}}})", 2), "JSON is nested deeper than 2 levels");
    EXPECT_EQ(problemOf(std::string(1'000'000, '[')), "JSON is nested deeper than 16 levels");
}

TEST(ShallowJson, SaysWhatIsWrongInOneLineWithoutTheLibrarysNumbers)
{
    for (const std::string& text : {std::string("{"), std::string("[1,\n]"), std::string("nul"), std::string("1e999"),
             std::string("\"\xff\""), std::string()}) {
        const std::string problem = problemOf(text);
        EXPECT_EQ(problem.rfind("is not valid JSON: ", 0), 0U) << problem;
        EXPECT_EQ(problem.find("json.exception"), std::string::npos) << problem;
        EXPECT_EQ(problem.find('\n'), std::string::npos) << problem;
    }
}

} // namespace
} // namespace kvloupe
