// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/shots/shot_edit.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>

namespace kvloupe {
namespace {

/// "2-6 6-9 12-15"
std::string text(const std::optional<Shots>& shots)
{
    if (!shots)
        return "nothing";
    std::string result;
    for (const TokenRange& shot : *shots)
        result += fmt::format("{}{}-{}", result.empty() ? "" : " ", shot.begin, shot.end);
    return result;
}

const Shots shots{{2, 6}, {6, 9}, {12, 15}};

TEST(ShotEdit, ABorderBetweenTwoShotsIsOneEdge)
{
    std::string edges;
    for (const ShotEdge& edge : edgesOf(shots))
        edges += fmt::format("{} ", positionOf(shots, edge));
    EXPECT_EQ(edges, "2 6 9 12 15 ");
}

TEST(ShotEdit, ABorderBetweenTwoShotsMovesBoth)
{
    EXPECT_EQ(text(moveEdge(shots, {0, true}, 4, 20)), "2-4 4-9 12-15");
    EXPECT_EQ(text(moveEdge(shots, {0, true}, 40, 20)), "2-8 8-9 12-15") << "a token is left to the second";
    EXPECT_EQ(text(moveEdge(shots, {0, true}, -4, 20)), "2-3 3-9 12-15") << "and to the first";
}

TEST(ShotEdit, AFreeEdgeStopsAtItsNeighbours)
{
    EXPECT_EQ(text(moveEdge(shots, {1, true}, 30, 20)), "2-6 6-12 12-15");
    EXPECT_EQ(text(moveEdge(shots, {2, true}, 30, 20)), "2-6 6-9 12-20");
    EXPECT_EQ(text(moveEdge(shots, {2, false}, 0, 20)), "2-6 6-9 9-15");
    EXPECT_EQ(text(moveEdge(shots, {2, false}, 99, 20)), "2-6 6-9 14-15");
    EXPECT_EQ(text(moveEdge(shots, {0, false}, -5, 20)), "0-6 6-9 12-15");
    EXPECT_EQ(text(moveEdge(shots, {7, false}, 1, 20)), "2-6 6-9 12-15");
}

TEST(ShotEdit, SplitsAtAToken)
{
    EXPECT_EQ(text(splitShot(shots, 4)), "2-4 4-6 6-9 12-15");
    EXPECT_EQ(text(splitShot(shots, 6)), "nothing") << "a shot begins there already";
    EXPECT_EQ(text(splitShot(shots, 10)), "nothing");
    EXPECT_EQ(text(splitShot(shots, -1)), "nothing");
}

TEST(ShotEdit, JoinsRemovesAndAdds)
{
    EXPECT_EQ(text(joinWithNext(shots, 1)), "2-6 6-15");
    EXPECT_EQ(text(joinWithNext(shots, 2)), "nothing");
    EXPECT_EQ(text(removeShot(shots, 0)), "6-9 12-15");
    EXPECT_EQ(text(removeShot(shots, -1)), "nothing");
    EXPECT_EQ(text(addShot(shots, {9, 12})), "2-6 6-9 9-12 12-15");
    EXPECT_EQ(text(addShot(shots, {4, 13})), "2-4 4-13 13-15") << "others give way";
    EXPECT_EQ(text(addShot(shots, {3, 5})), "2-3 3-5 5-6 6-9 12-15");
    EXPECT_EQ(text(addShot(shots, {0, 20})), "0-20");
    EXPECT_EQ(text(addShot(shots, {5, 5})), "nothing");
}

} // namespace
} // namespace kvloupe
