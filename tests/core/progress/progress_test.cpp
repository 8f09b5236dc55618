// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/progress/progress.h"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace kvloupe {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

/// A clock that only the test moves, and what was written.
struct Screen {
    std::string written;
    double now = 100.0;
    bool cancelled = false;

    Progress::Surroundings surroundings(bool terminal, int columns = 80)
    {
        Progress::Surroundings result;
        result.write = [this](std::string_view text) { written += text; };
        result.seconds = [this] { return now; };
        result.cancelled = [this] { return cancelled; };
        result.terminal = terminal;
        result.columns = columns;
        return result;
    }

    std::vector<std::string> lines() const
    {
        std::vector<std::string> result;
        std::istringstream stream(written);
        for (std::string line; std::getline(stream, line);) {
            result.push_back(line);
        }
        return result;
    }
};

TEST(Progress, SaysNothingAboutWorkShorterThanASecond)
{
    Screen screen;
    {
        Progress progress(ProgressMode::Bar, screen.surroundings(true));
        progress.begin("checking");
        for (int step = 1; step <= 9; ++step) {
            screen.now += 0.1;
            EXPECT_TRUE(progress.advance(step / 10.0));
        }
        progress.end();
    }
    EXPECT_THAT(screen.written, IsEmpty());
}

TEST(Progress, DrawsABarWithPercentageAndTimeLeftAfterASecond)
{
    Screen screen;
    Progress progress(ProgressMode::Bar, screen.surroundings(true));
    progress.begin("checking", 200.0);
    screen.now += 10.0;
    progress.advance(50.0);
    EXPECT_THAT(screen.written, StartsWith("\r\x1b[Kchecking ["));
    EXPECT_THAT(screen.written, HasSubstr(" 25 %"));
    EXPECT_THAT(screen.written, HasSubstr("10 s, 30 s left"));
    EXPECT_THAT(screen.written, Not(HasSubstr("\n")));
}

TEST(Progress, FitsTheTerminalAndTakesTheBarAwayAtTheEnd)
{
    Screen screen;
    Progress progress(ProgressMode::Bar, screen.surroundings(true, 50));
    progress.begin("checking");
    screen.now += 5.0;
    progress.advance(0.5);
    const std::string line = screen.written.substr(std::string("\r\x1b[K").size());
    EXPECT_LT(line.size(), 50U);
    screen.written.clear();
    progress.end();
    EXPECT_EQ(screen.written, "\r\x1b[K");
}

TEST(Progress, WritesPlainLinesEveryFewSecondsWithoutATerminal)
{
    Screen screen;
    {
        Progress progress(ProgressMode::Bar, screen.surroundings(false));
        progress.begin("checking", 100.0);
        for (int second = 1; second <= 12; ++second) {
            screen.now += 1.0;
            progress.advance(second);
        }
        progress.end();
    }
    const auto lines = screen.lines();
    ASSERT_EQ(lines.size(), 4U); // after 1, 6 and 11 seconds, and the end
    EXPECT_EQ(lines.front(), "checking:   1 %  1 s, 1:39 min left");
    EXPECT_EQ(lines.back(), "checking: 100 %  12 s");
    EXPECT_THAT(screen.written, Not(HasSubstr("\x1b")));
}

TEST(Progress, WritesOneJsonObjectPerLineWithBothEndsOfEveryStage)
{
    Screen screen;
    {
        Progress progress(ProgressMode::Json, screen.surroundings(false));
        progress.begin("load \"model\"", 4.0);
        screen.now += 2.0;
        progress.advance(1.0);
        screen.now += 0.01;
        progress.advance(2.0); // too soon after the last line
        progress.begin("record");
        screen.now += 1.0;
        progress.end();
    }
    std::vector<nlohmann::json> events;
    for (const std::string& line : screen.lines()) {
        events.push_back(nlohmann::json::parse(line));
    }
    ASSERT_EQ(events.size(), 5U);
    EXPECT_EQ(events[0],
        nlohmann::json::parse(R"({"event":"progress","stage":"load \"model\"","done":0.0,"total":4.0,)"
                              R"("elapsed":0.0,"remaining":null})"));
    EXPECT_EQ(events[1]["done"], 1.0);
    EXPECT_EQ(events[1]["elapsed"], 2.0);
    EXPECT_EQ(events[1]["remaining"], 6.0);
    EXPECT_EQ(events[2]["done"], 4.0);
    EXPECT_EQ(events[2]["remaining"], 0.0);
    EXPECT_EQ(events[3]["stage"], "record");
    EXPECT_EQ(events[4]["done"], 1.0);
}

TEST(Progress, WritesNothingInModeNone)
{
    Screen screen;
    {
        Progress progress(ProgressMode::None, screen.surroundings(true));
        const auto advance = progress.fractions("checking");
        screen.now += 60.0;
        EXPECT_TRUE(advance(0.5));
    }
    EXPECT_THAT(screen.written, IsEmpty());
}

TEST(Progress, PassesOnTheWishToStop)
{
    Screen screen;
    Progress progress(ProgressMode::None, screen.surroundings(true));
    const auto advance = progress.fractions("checking");
    EXPECT_TRUE(advance(0.1));
    screen.cancelled = true;
    EXPECT_FALSE(advance(0.2));
}

TEST(Progress, NeverGoesBackAndNeverBeyondTheTotal)
{
    Screen screen;
    {
        Progress progress(ProgressMode::Json, screen.surroundings(false));
        progress.begin("record", 2.0);
        for (const double done : {1.0, 0.5, -3.0, 9.0}) {
            screen.now += 1.0;
            progress.advance(done);
        }
    }
    std::vector<double> done;
    for (const std::string& line : screen.lines()) {
        done.push_back(nlohmann::json::parse(line)["done"].get<double>());
    }
    EXPECT_THAT(done, ::testing::ElementsAre(0.0, 1.0, 1.0, 1.0, 2.0, 2.0));
}

TEST(Progress, MayBeAdvancedFromSeveralThreads)
{
    Screen screen;
    {
        Progress progress(ProgressMode::Json, screen.surroundings(false));
        progress.begin("record", 1000.0);
        std::vector<std::jthread> threads;
        for (int thread = 0; thread < 4; ++thread) {
            threads.emplace_back([&progress] {
                for (int step = 0; step < 1000; ++step) {
                    progress.advance(step);
                }
            });
        }
    }
    for (const std::string& line : screen.lines()) {
        EXPECT_TRUE(nlohmann::json::accept(line)) << line;
    }
}

TEST(Progress, KnowsItsModesByName)
{
    for (const ProgressMode mode : {ProgressMode::Bar, ProgressMode::Json, ProgressMode::None}) {
        EXPECT_EQ(progressModeFromName(progressModeName(mode)), mode);
    }
    EXPECT_EQ(progressModeFromName("dots"), std::nullopt);
}

TEST(Progress, WritesDurationsForPeople)
{
    EXPECT_EQ(durationText(0.2), "0 s");
    EXPECT_EQ(durationText(59.4), "59 s");
    EXPECT_EQ(durationText(59.6), "1:00 min");
    EXPECT_EQ(durationText(3729.0), "1:02:09 h");
}

} // namespace
} // namespace kvloupe
