// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/evaluation/response.h"

#include <gtest/gtest.h>

namespace kvloupe {
namespace {

TEST(Response, EndsBeforeAStopThatSpansTokens)
{
    const std::vector<std::string> stops{"\n\nQ", "END"};
    Response response(stops);
    EXPECT_TRUE(response.add("four\n"));
    EXPECT_TRUE(response.add("\n"));
    EXPECT_FALSE(response.add("Question"));
    EXPECT_TRUE(response.stopped());
    EXPECT_EQ(response.text(), "four");
}

TEST(Response, EndsBeforeTheEarliestOfSeveralStopsInOneToken)
{
    const std::vector<std::string> stops{"c", "bc", ""};
    Response response(stops);
    EXPECT_FALSE(response.add("abcd"));
    EXPECT_EQ(response.text(), "a");
}

TEST(Response, GoesOnWithoutAStop)
{
    Response response({});
    for (int i = 0; i < 3; ++i)
        EXPECT_TRUE(response.add("\n"));
    EXPECT_FALSE(response.stopped());
    EXPECT_EQ(response.text(), "\n\n\n");
}

} // namespace
} // namespace kvloupe
