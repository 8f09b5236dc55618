// SPDX-License-Identifier: GPL-3.0-or-later

#include "app/text_table.h"

#include "app/help_text.h"

#include <gtest/gtest.h>

namespace kvloupe {
namespace {

TEST(TextTable, AlignsNumbersToTheRightAndEndsLinesWithoutBlanks)
{
    TextTable table({"name", ">bytes", "note"});
    table.add({"keys", "7", "raw"});
    table.add({"attention", "1200"});
    EXPECT_EQ(table.text(2), "  name       bytes  note\n  keys           7  raw\n  attention   1200\n");
}

TEST(TextTable, CountsLettersNotBytes)
{
    TextTable table({"a", "b"});
    table.add({"é", "x"});
    table.add({"ee", "y"});
    EXPECT_EQ(table.text(), "a   b\né   x\nee  y\n");
}

TEST(ByteText, UsesPowersOfAThousand)
{
    EXPECT_EQ(byteText(0), "0 B");
    EXPECT_EQ(byteText(999), "999 B");
    EXPECT_EQ(byteText(1000), "1.00 kB");
    EXPECT_EQ(byteText(98'362'432), "98.4 MB");
    EXPECT_EQ(byteText(999'960), "1.00 MB");
    EXPECT_EQ(byteText(18'446'744'073'709'551'615U), "18.4 EB");
}

TEST(Wrapped, BreaksAtBlanksAndLeavesLongWordsWhole)
{
    EXPECT_EQ(wrapped("one two three", 7), "one two\nthree");
    EXPECT_EQ(wrapped("a-very-long-word b", 5), "a-very-long-word\nb");
    EXPECT_EQ(wrapped("", 5), "");
}

} // namespace
} // namespace kvloupe
