// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/jobs/job_output.h"

#include <gtest/gtest.h>

namespace kvloupe {
namespace {

TEST(JobProgress, IsReadFromALineOfProgress)
{
    const auto progress = progressOfLine(
        R"({"event":"progress","stage":"loading","done":3.0,"total":12.0,"elapsed":1.5,"remaining":null})");
    ASSERT_TRUE(progress);
    EXPECT_EQ(*progress, (JobProgress{QStringLiteral("loading"), 3.0, 12.0}));
    EXPECT_DOUBLE_EQ(progress->fraction(), 0.25);
}

TEST(JobProgress, IsNotTakenFromAnythingElse)
{
    for (const char* line : {"", "loading", "{", "{}", "[]", "{\"event\":\"progress\"}",
             R"({"event":"end","stage":"x","done":1,"total":2})",
             R"({"event":"progress","stage":"x","done":1,"total":0})",
             R"({"event":"progress","stage":"x","done":1,"total":-2})",
             R"({"event":"progress","stage":"x","done":"1","total":2})",
             R"({"event":"progress","stage":"x","done":1,"total":1e999})",
             R"({"event":"progress","stage":"x","done":1,"total":2)"})
        EXPECT_FALSE(progressOfLine(line)) << line;
}

TEST(JobProgress, StaysBetweenNothingAndAll)
{
    EXPECT_EQ(progressOfLine(R"({"event":"progress","stage":"x","done":9,"total":2})")->fraction(), 1.0);
    EXPECT_EQ(progressOfLine(R"({"event":"progress","stage":"x","done":-9,"total":2})")->fraction(), 0.0);
    const QByteArray longName(5000, 'n');
    EXPECT_LE(
        progressOfLine(R"({"event":"progress","stage":")" + longName + R"(","done":0,"total":2})")->stage.size(), 120);
}

TEST(LineReader, PutsPiecesTogether)
{
    LineReader reader;
    EXPECT_EQ(reader.feed("one\ntw"), (QList<QByteArray>{"one"}));
    EXPECT_EQ(reader.feed("o\n\n  \nthree"), (QList<QByteArray>{"two"}));
    EXPECT_EQ(reader.finish(), (QList<QByteArray>{"three"}));
    EXPECT_TRUE(reader.finish().isEmpty());
}

TEST(LineReader, CutsLinesThatNeverEnd)
{
    LineReader reader;
    for (int piece = 0; piece < 100; ++piece)
        EXPECT_TRUE(reader.feed(QByteArray(1024, 'x')).isEmpty());
    const QList<QByteArray> lines = reader.feed("y\nnext\n");
    ASSERT_EQ(lines.size(), 2);
    EXPECT_EQ(lines[0].size(), LineReader::longestLine);
    EXPECT_EQ(lines[1], "next");
}

TEST(MessageLog, KeepsTheNewestAndTheLastError)
{
    MessageLog log;
    log.add(QStringLiteral("kvloupe: error: p.txt: it is empty, expected a prompt"));
    for (int number = 0; number < MessageLog::most; ++number)
        log.add(QString::number(number));
    EXPECT_EQ(log.messages().size(), MessageLog::most);
    EXPECT_EQ(log.messages().front(), QStringLiteral("0"));
    EXPECT_EQ(log.dropped(), 1);
    EXPECT_EQ(log.lastError(), QStringLiteral("p.txt: it is empty, expected a prompt"));
}

TEST(Messages, AreReadableWhateverTheBytes)
{
    EXPECT_EQ(messageOfLine("\x1b[31mred\x07 \xff text\r"), QStringLiteral("[31mred \uFFFD text"));
}

} // namespace
} // namespace kvloupe
