// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/results/result_row.h"

#include "core/results/result_file.h"
#include "core/results/results_error.h"
#include "tests/support/made_results.h"
#include "tests/support/temporary_folder.h"

#include <algorithm>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

namespace kvloupe {
namespace {

using Json = nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

template <typename Function> std::string errorOf(Function function)
{
    try {
        function();
    } catch (const ResultsError& error) {
        return error.what();
    }
    return "no error";
}

ResultRow readBack(const ResultRow& row)
{
    return resultRowFromJson(Json::parse(resultLine(row)), "f.jsonl, line 2");
}

TEST(ResultRow, IsReadBackAsItWasWritten)
{
    ResultRow row = madeRow(madeHeader(), 3, 7);
    row.dataSha256 = std::string(64, '1');
    row.model.adapterSha256 = std::string(64, '2');
    row.decodeKeep = "0.5";
    row.prompt.chat = true;
    const std::string line = resultLine(row);
    EXPECT_EQ(line.find('\n'), std::string::npos);
    const ResultRow back = readBack(row);
    EXPECT_EQ(resultLine(back), line);
    EXPECT_EQ(back.key, row.key);
    EXPECT_EQ(back.key.seed, std::numeric_limits<std::uint64_t>::max());
    EXPECT_EQ(back.model, row.model);
    EXPECT_EQ(back.outcome->text, row.outcome->text);
    EXPECT_THAT(back.outcome->ids, ElementsAre(11, 22, 33, 7));
    EXPECT_EQ(back.method.parameters.at("window"), "8");
    EXPECT_EQ(back.outcome->klToFull, row.outcome->klToFull);
}

TEST(ResultRow, HoldsATenthAsATenth)
{
    ResultRow row = madeRow(madeHeader(), 1, 0);
    row.outcome->score = 0.1;
    row.outcome->klToFull = 1.0 / 3.0;
    EXPECT_THAT(resultLine(row), HasSubstr("\"score\":0.1,"));
    EXPECT_EQ(readBack(row).outcome->klToFull, 1.0 / 3.0);
}

TEST(ResultRow, OfASkippedSampleHasAReasonAndNoResult)
{
    const ResultRow row = skippedRow(madeRow(madeHeader(), 0, 0), "9000 tokens, the context holds 8192");
    const ResultRow back = readBack(row);
    EXPECT_EQ(back.skipped, row.skipped);
    EXPECT_FALSE(back.outcome.has_value());
    ResultRow both = madeRow(madeHeader(), 0, 0);
    both.skipped = "why";
    EXPECT_THROW(resultLine(both), ResultsError);
    both.outcome.reset();
    both.skipped.clear();
    EXPECT_THROW(resultLine(both), ResultsError);
}

TEST(ResultRow, WithoutTimesDiffersOnlyInTheTimes)
{
    ResultRow one = madeRow(madeHeader(), 1, 0);
    ResultRow other = one;
    other.outcome->promptSeconds = 99.0;
    other.outcome->decodeSeconds = 98.0;
    EXPECT_NE(resultLine(one), resultLine(other));
    EXPECT_EQ(withoutTimes(resultLine(one)), withoutTimes(resultLine(other)));
    other.outcome->score = 0.5;
    EXPECT_NE(withoutTimes(resultLine(one)), withoutTimes(resultLine(other)));
}

TEST(ResultRow, RefusesToWriteNumbersThatAreNotFinite)
{
    for (const double value : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
        ResultRow row = madeRow(madeHeader(), 1, 0);
        row.outcome->nllGoldSum = value;
        EXPECT_THAT(errorOf([&] { resultLine(row); }), HasSubstr("result.nll_gold.sum_nats"));
        row = madeRow(madeHeader(), 1, 0);
        row.outcome->realisedPerLayer[1] = value;
        EXPECT_THAT(errorOf([&] { resultLine(row); }), HasSubstr("budget.realised.tokens_per_layer"));
    }
}

TEST(ResultRow, WritesBytesThatAreNoTextAsReplacementCharacters)
{
    ResultRow row = madeRow(madeHeader(), 1, 0);
    row.outcome->text = "half a letter: \xe2\x82";
    EXPECT_EQ(readBack(row).outcome->text, "half a letter: \xef\xbf\xbd");
}

/// Paths of all members of an object, "model.name", without what stands in lists and in maps of free names.
void collectMembers(const Json& object, const std::string& path, std::vector<std::string>& members)
{
    static const std::set<std::string> maps{"method.parameters", "options", "versions"};
    for (const auto& [name, value] : object.items()) {
        members.push_back(path + name);
        if (value.is_object() && !maps.contains(path + name))
            collectMembers(value, path + name + ".", members);
    }
}

Json::json_pointer pointerTo(std::string path)
{
    std::ranges::replace(path, '.', '/');
    return Json::json_pointer("/" + path);
}

class ResultLines : public ::testing::Test {
protected:
    /// The error of a file with these lines behind each other.
    std::string errorOfFile(const std::vector<std::string>& lines) const
    {
        std::string text;
        for (const std::string& line : lines)
            text += line + "\n";
        const auto file = m_folder.write("results.jsonl", text);
        return errorOf([&] { readResults(file); });
    }

    std::string header = headerLine(madeHeader());
    std::string row = resultLine(madeRow(madeHeader(), 1, 0));

private:
    TemporaryFolder m_folder;
};

TEST_F(ResultLines, EveryFieldThatIsMissingOrOfAnotherTypeIsNamed)
{
    for (const bool ofHeader : {true, false}) {
        const Json good = Json::parse(ofHeader ? header : row);
        std::vector<std::string> members;
        collectMembers(good, "", members);
        EXPECT_GT(members.size(), 15U);
        for (const std::string& member : members) {
            const auto pointer = pointerTo(member);
            Json without = good;
            without[pointer.parent_pointer()].erase(pointer.back());
            Json wrong = good;
            wrong[pointer] = Json::array({Json::array()});
            for (const Json& bad : {without, wrong}) {
                const std::string error = ofHeader ? errorOfFile({bad.dump()}) : errorOfFile({header, bad.dump()});
                EXPECT_THAT(error, HasSubstr(fmt::format("results.jsonl, line {}, field {}", ofHeader ? 1 : 2, member)))
                    << bad.dump();
            }
        }
    }
}

TEST_F(ResultLines, NumbersOutsideTheirBoundsAreNamed)
{
    struct Case {
        const char* field;
        Json value;
    };
    const std::vector<Case> cases{{"version", 2}, {"shots", -1}, {"branch", 5}, {"branches", 0}, {"branches", 6},
        {"prompt.tokens", 0}, {"budget.keep", 1.5}, {"budget.requested_tokens", 101}, {"result.score", -0.1},
        {"result.score", 1.1}, {"result.nll_gold.tokens", 0}, {"result.output.tokens", 3},
        {"time.prompt_seconds", -1.0}, {"budget.realised.share", 2.0}, {"seed", -1}, {"seed", 1.5},
        {"shots", 18446744073709551615U}, {"result.output.stop", "tired"}, {"first_token", "half"},
        {"model.file_sha256", "abc"}, {"prompt.sha256", std::string(64, 'A')}, {"skipped", ""},
        {"skipped", "a reason beside a result"}};
    for (const Case& one : cases) {
        Json bad = Json::parse(row);
        bad[pointerTo(one.field)] = one.value;
        const std::string error = errorOfFile({header, bad.dump()});
        EXPECT_THAT(error, HasSubstr("results.jsonl, line 2, field ")) << one.field;
        EXPECT_THAT(error, HasSubstr(", expected ")) << one.field;
        EXPECT_THAT(error, HasSubstr(one.value == "a reason beside a result" ? "result" : one.field));
    }
}

TEST_F(ResultLines, TextThatIsNoJsonIsRefusedWithItsLine)
{
    for (const char* bad : {"{", "row", "{\"type\":\"row\"", "[1,2]", "{\"score\": NaN}", "{\"score\": 1e999}",
             "\xff\xfe", "{\"type\": \"\xff\"}", "{} {}", "3"})
        EXPECT_THAT(errorOfFile({header, bad}), HasSubstr("results.jsonl, line 2")) << bad;
    EXPECT_THAT(errorOfFile({header, std::string(200000, '[')}), HasSubstr("nested deeper than 16 levels"));
    EXPECT_THAT(errorOfFile({header, std::string(17U << 20U, 'x')}), HasSubstr("line 2: longer than"));
    EXPECT_THAT(errorOfFile({row}), HasSubstr("line 1: found a row, expected the header of a run first"));
    EXPECT_THAT(errorOfFile({}), HasSubstr("found an empty file"));
    EXPECT_EQ(errorOfFile({header, "", row}), "no error");
}

TEST_F(ResultLines, ErrorsAreOneShortLine)
{
    Json bad = Json::parse(row);
    bad["suite"] = Json::array({std::string(100000, 'x') + "\n"});
    const std::string error = errorOfFile({header, bad.dump()});
    EXPECT_LT(error.size(), 400U);
    EXPECT_THAT(error, Not(HasSubstr("\n")));
}

TEST_F(ResultLines, ARowOfAnotherRunIsRefused)
{
    const auto errorWith = [&](const char* field, const Json& value) {
        Json bad = Json::parse(row);
        bad[pointerTo(field)] = value;
        return errorOfFile({header, bad.dump()});
    };
    EXPECT_THAT(errorWith("suite", "other"), HasSubstr("field suite: found \"other\", expected \"fundamental\""));
    EXPECT_THAT(errorWith("model.file_sha256", std::string(64, 'c')), HasSubstr("field model.file_sha256"));
    EXPECT_THAT(
        errorWith("method.spec", "snapkv"), HasSubstr("expected \"snapkv:window=8\" as in the run's first line"));
    EXPECT_THAT(errorWith("budget.text", "0.30"), HasSubstr("field budget.text"));
}

} // namespace
} // namespace kvloupe
