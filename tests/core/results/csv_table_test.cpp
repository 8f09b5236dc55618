// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/results/csv_table.h"

#include "core/results/results_error.h"
#include "tests/support/temporary_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kvloupe {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string errorOf(std::string_view text)
{
    try {
        parseCsv(text, "file.csv");
    } catch (const ResultsError& error) {
        return error.what();
    }
    return "no error";
}

TEST(CsvTable, ReadsQuotesCommasAndLineBreaksInFields)
{
    const CsvTable table = parseCsv("a,b\r\n1,\"x, \"\"y\"\"\nz\"\r\n,\n3,last", "file.csv");
    EXPECT_THAT(table.columns, ElementsAre("a", "b"));
    ASSERT_EQ(table.rows.size(), 3U);
    EXPECT_THAT(table.rows[0].fields, ElementsAre("1", "x, \"y\"\nz"));
    EXPECT_THAT(table.rows[1].fields, ElementsAre("", ""));
    EXPECT_THAT(table.rows[2].fields, ElementsAre("3", "last"));
    EXPECT_EQ(table.rows[0].line, 2);
    EXPECT_EQ(table.rows[1].line, 4); // the field before holds a line break
}

TEST(CsvTable, RefusesWhatIsNoTableAndNamesTheLine)
{
    EXPECT_THAT(errorOf(""), HasSubstr("file.csv, line 1: found an empty file"));
    EXPECT_THAT(errorOf("a,b\n1\n"), HasSubstr("file.csv, line 2: found 1 fields, expected 2"));
    EXPECT_THAT(errorOf("a,b\n1,\"2\n3\n"), HasSubstr("file.csv, line 2: found a quote that never ends"));
    EXPECT_THAT(errorOf("a,b\n1,\"2\"3\n"), HasSubstr("file.csv, line 2: found text behind a closing quote"));
    EXPECT_THAT(errorOf("a,b\n1,2\"3\n"), HasSubstr("file.csv, line 2: found a quote inside"));
    EXPECT_THROW(parseCsv("a,b\n", "f").column("c"), ResultsError);
}

TEST(CsvTable, RefusesAFileThatIsNotThere)
{
    const TemporaryFolder folder;
    EXPECT_THROW(readCsv(folder.path() / "missing.csv"), ResultsError);
    EXPECT_THROW(readCsv(folder.path()), ResultsError);
}

} // namespace
} // namespace kvloupe
