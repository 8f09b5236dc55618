// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tasks/csv_table.h"
#include "capture/tasks/task.h"

#include <gtest/gtest.h>

namespace kvloupe {
namespace {

using Rows = std::vector<std::vector<std::string>>;

Rows rows(std::string_view text)
{
    Rows result;
    for (const CsvRecord& record : parseCsv(text, "x.csv"))
        result.push_back(record.fields);
    return result;
}

std::string refusalOf(std::string_view text)
{
    try {
        parseCsv(text, "x.csv");
    } catch (const TaskError& error) {
        return error.what();
    }
    return "";
}

TEST(CsvTable, ReadsQuotesCommasAndLineBreaks)
{
    EXPECT_EQ(rows("a,b\nc,d\n"), (Rows{{"a", "b"}, {"c", "d"}}));
    EXPECT_EQ(rows("a,b\r\nc,d"), (Rows{{"a", "b"}, {"c", "d"}}));
    EXPECT_EQ(rows("\"a, \"\"b\"\"\",\"two\nlines\",\"\"\n"), (Rows{{"a, \"b\"", "two\nlines", ""}}));
    EXPECT_EQ(rows(",,\n"), (Rows{{"", "", ""}}));
    EXPECT_EQ(rows("a,\n"), (Rows{{"a", ""}}));
    EXPECT_EQ(rows("a,"), (Rows{{"a", ""}}));
    EXPECT_EQ(rows("a\n\n\r\nb\n"), (Rows{{"a"}, {"b"}}));
    EXPECT_EQ(rows("\"\"\n"), (Rows{{""}}));
    EXPECT_EQ(rows(""), Rows{});
    EXPECT_EQ(rows("a\rb,c\n"), (Rows{{"a\rb", "c"}}));
}

TEST(CsvTable, KnowsTheLineEachRecordBeginsAt)
{
    const auto records = parseCsv("h\n\"one\ntwo\"\n\nlast\n", "x.csv");
    ASSERT_EQ(records.size(), 3u);
    EXPECT_EQ(records[1].line, 2);
    EXPECT_EQ(records[2].line, 5);
}

TEST(CsvTable, RefusesDamagedQuotes)
{
    EXPECT_EQ(refusalOf("a\n\"b\nc"), "x.csv line 2: found a quote that is never closed, expected a closing quote");
    EXPECT_EQ(refusalOf("\"a\"b,c"),
        "x.csv line 1: found text behind a closing quote, expected a comma or the end of the line");
    EXPECT_EQ(
        refusalOf("a\"b\n"), "x.csv line 1: found a quote inside a field, expected quotes around the whole field");
    EXPECT_NE(refusalOf(std::string(5000, ',')).find("more fields"), std::string::npos);
}

} // namespace
} // namespace kvloupe
