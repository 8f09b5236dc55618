// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/results/summary_table.h"

#include "core/results/csv_table.h"
#include "tests/support/made_results.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace kvloupe {
namespace {

using Json = nlohmann::json;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

Summary madeSummary(const std::vector<RunHeader>& headers)
{
    SummaryBuilder builder(defaultSummaryFields());
    for (const RunHeader& header : headers) {
        ResultRun run;
        run.header = header;
        for (int sample = 0; sample < 8; ++sample)
            for (ResultRow& row : madeSample(header, sample)) {
                if (row.branch == 4 && sample < 6)
                    row.outcome->score = 0.0;
                run.rows.push_back(std::move(row));
            }
        builder.add(run);
    }
    return builder.build();
}

std::string factOf(const SummaryTable& table, const std::string& name)
{
    for (const SummaryTable::Fact& fact : table.common)
        if (fact.name == name)
            return fact.value;
    return "not there";
}

std::vector<std::string> columnOf(const SummaryTable& table, const std::string& heading)
{
    std::vector<std::string> values;
    for (std::size_t column = 0; column < table.columns.size(); ++column)
        if (table.columns[column].heading == heading)
            for (const auto& row : table.rows)
                values.push_back(row[column]);
    return values;
}

TEST(SummaryTable, PutsWhatAllRowsShareAboveAndTheRestIntoColumns)
{
    const SummaryTable table = summaryTable(madeSummary({madeHeader()}));
    EXPECT_EQ(factOf(table, "model"), "made-135m");
    EXPECT_EQ(factOf(table, "suite"), "fundamental");
    EXPECT_EQ(factOf(table, "task"), "ar");
    EXPECT_EQ(factOf(table, "chat template"), "off");
    EXPECT_EQ(factOf(table, "first token from"), "full cache");
    EXPECT_EQ(factOf(table, "budget of"), "prompt");
    EXPECT_EQ(factOf(table, "sets per"), "kv_head");
    EXPECT_THAT(columnOf(table, "choice"), ElementsAre("-", "exact", "exact", "renormalised", "renormalised"));
    EXPECT_THAT(columnOf(table, "method"), ElementsAre("full", "snapkv:window=8", "snapkv:window=8", "h2o", "h2o"));
    EXPECT_THAT(columnOf(table, "asked %"), ElementsAre("100.0", "30.0", "10.0", "30.0", "10.0"));
    EXPECT_THAT(columnOf(table, "asked tokens"), ElementsAre("100.0", "30.0", "10.0", "30.0", "10.0"));
    EXPECT_THAT(columnOf(table, "kept tokens"), ElementsAre("100.0", "30.0", "10.0", "30.0", "10.0"));
    EXPECT_THAT(columnOf(table, "accuracy %"), ElementsAre("100.0", "100.0", "100.0", "100.0", "25.0"));
    EXPECT_THAT(columnOf(table, "dP %"), ElementsAre("-", "+0.0", "+0.0", "+0.0", "-75.0"));
    EXPECT_THAT(columnOf(table, "p (Holm)"), ElementsAre("-", "1.000", "1.000", "1.000", "0.062"));
    EXPECT_THAT(columnOf(table, "KL"), ElementsAre("-", "0.1000", "0.3000", "0.2000", "0.4000"));
}

TEST(SummaryTable, SettingsOfWhichResultsDependAreAlwaysShown)
{
    const std::vector<std::string> settings{"model", "computed in", "suite", "chat template", "first token from",
        "budget of", "generated tokens kept", "sets per"};
    RunHeader other = madeHeader();
    other.firstToken = "compressed";
    other.chat = true;
    for (const auto& headers : {std::vector{madeHeader()}, std::vector{madeHeader(), other}}) {
        const SummaryTable table = summaryTable(madeSummary(headers));
        for (const std::string& setting : settings) {
            const bool above = factOf(table, setting) != "not there";
            EXPECT_NE(above, !columnOf(table, setting).empty()) << setting;
        }
    }
    const SummaryTable both = summaryTable(madeSummary({madeHeader(), other}));
    EXPECT_THAT(columnOf(both, "first token from"), Contains("compressed cache"));
    EXPECT_THAT(columnOf(both, "chat template"), SizeIs(10));
}

TEST(SummaryTable, LatexHasAsManyCellsAsColumnsAndNothingToInterpret)
{
    RunHeader header = madeHeader();
    header.model.name = "a_b & 100% {x} #1 $y$ ~z ^2 \\";
    const std::string latex = summaryLatex(summaryTable(madeSummary({header})));
    EXPECT_THAT(latex,
        HasSubstr("a\\_b \\& 100\\% \\{x\\} \\#1 \\$y\\$ \\textasciitilde{}z \\textasciicircum{}2 "
                  "\\textbackslash{}"));
    EXPECT_THAT(latex, HasSubstr("\\toprule\n"));
    EXPECT_THAT(latex, HasSubstr("\\bottomrule\n\\end{tabular}\n\\end{table}\n"));
    EXPECT_THAT(latex, HasSubstr("accuracy \\% &"));
    EXPECT_THAT(latex, HasSubstr(" & $-$75.0 & 0.062 & +0.200 & +0.200 to +0.200 & "));
    const SummaryTable table = summaryTable(madeSummary({header}));
    int lines = 0;
    for (std::size_t begin = 0; begin < latex.size(); begin = latex.find('\n', begin) + 1) {
        const std::string line = latex.substr(begin, latex.find('\n', begin) - begin);
        if (!line.ends_with("\\\\"))
            continue;
        std::size_t cells = 1;
        for (std::size_t at = line.find(" & "); at != std::string::npos; at = line.find(" & ", at + 1))
            ++cells;
        EXPECT_EQ(cells, table.columns.size()) << line;
        ++lines;
    }
    EXPECT_EQ(lines, 6);
}

TEST(SummaryTable, CsvHoldsTheNumbersOfTheJsonWithUnitsInTheNamesOfColumns)
{
    RunHeader header = madeHeader();
    header.model.name = "a, \"b\"";
    const Summary summary = madeSummary({header});
    const CsvTable csv = parseCsv(summaryCsv(summary), "summary.csv");
    const Json json = Json::parse(summaryJson(summary));
    ASSERT_THAT(csv.rows, SizeIs(5));
    ASSERT_EQ(json.size(), 5U);
    EXPECT_THAT(csv.columns, SizeIs(json[0].size()));
    for (std::size_t row = 0; row < csv.rows.size(); ++row)
        for (const auto& [name, value] : json[row].items()) {
            const std::string& field = csv.rows[row].fields[csv.column(name)];
            EXPECT_EQ(field, value.is_null() ? "" : value.is_string() ? value.get<std::string>() : value.dump());
        }
    EXPECT_EQ(json[4]["accuracy_fraction"], 0.25);
    EXPECT_EQ(json[4]["relative_drop_fraction"], -0.75);
    EXPECT_EQ(json[4]["mcnemar_p"], 0.03125);
    EXPECT_EQ(json[4]["mcnemar_p_holm"], 0.0625);
    EXPECT_EQ(json[4]["mcnemar_test"], "exact");
    EXPECT_EQ(json[4]["lost_count"], 6);
    EXPECT_TRUE(json[0]["relative_drop_fraction"].is_null());
    EXPECT_EQ(json[0]["full_cache"], true);
    for (const char* number : {"requested_tokens", "realised_tokens", "realised_fraction", "mean_cached_tokens",
             "nll_difference_nats_per_token", "kl_to_full_nats_per_token", "output_length_ratio"})
        EXPECT_TRUE(json[4][number].is_number()) << number;
}

TEST(SummaryTable, OfNoRowsIsEmpty)
{
    EXPECT_THAT(summaryTable({}).rows, SizeIs(0));
    EXPECT_EQ(summaryJson({}), "[]\n");
    EXPECT_THAT(parseCsv(summaryCsv({}), "s").rows, SizeIs(0));
    EXPECT_THAT(summaryLatex(summaryTable({})), Not(HasSubstr("caption{.")));
}

} // namespace
} // namespace kvloupe
