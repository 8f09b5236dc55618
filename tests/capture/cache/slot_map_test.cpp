// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/cache/slot_map.h"
#include "capture/cache/token_pages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

namespace kvloupe {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::int32_t> positionsOf(const SlotMap& map)
{
    return {map.alive().begin(), map.alive().end()};
}

TEST(SlotMap, GivesTheSlotOfATokenThatLeftToTheNextOne)
{
    const std::vector<std::int32_t> positions{0, 4, 7};
    SlotMap map(positions);
    EXPECT_THAT(map.remove(std::vector<std::int32_t>{4}), IsEmpty());
    EXPECT_THAT(positionsOf(map), ElementsAre(0, 7));
    EXPECT_EQ(map.usedSlots(), 3);
    EXPECT_EQ(map.add(9), 1);
    EXPECT_EQ(map.add(10), 3);
    EXPECT_THAT(positionsOf(map), ElementsAre(0, 7, 9, 10));
    EXPECT_TRUE(map.holds(9));
    EXPECT_FALSE(map.holds(4));
    EXPECT_THAT(map.freeSlots(), IsEmpty());
}

TEST(SlotMap, PassesOverTokensThatAreNotThere)
{
    const std::vector<std::int32_t> positions{2, 5, 6};
    SlotMap map(positions);
    map.remove(std::vector<std::int32_t>{1, 3, 5, 99});
    EXPECT_THAT(positionsOf(map), ElementsAre(2, 6));
}

TEST(SlotMap, NeverLosesATokenWhateverComesAndGoes)
{
    std::mt19937 random(5);
    SlotMap map({});
    TokenPages pages(3, true);
    std::map<std::int32_t, float> expected; // by position
    std::int32_t next = 0;
    for (int round = 0; round < 400; ++round) {
        for (std::uint_fast32_t i = random() % 12; i > 0; --i, ++next) {
            const auto mark = static_cast<float>(next);
            pages.put(map.add(next), std::vector<float>{mark, 2 * mark, 3 * mark}, std::vector<float>{-mark, mark, 0});
            expected[next] = mark;
        }
        std::vector<std::int32_t> gone;
        const std::uint32_t among = round % 50 == 49 ? 2 : 16; // now and then half of them
        for (const auto& [position, mark] : expected)
            if (random() % among == 0)
                gone.push_back(position);
        for (const std::int32_t position : gone)
            expected.erase(position);
        for (const auto& [from, to] : map.remove(gone))
            pages.move(from, to);
        pages.shrink(map.usedSlots());

        ASSERT_EQ(map.size(), std::ssize(expected));
        EXPECT_LE(map.usedSlots(), map.size() + 8);
        EXPECT_LE(pages.slots(), map.usedSlots() + 15);
        auto token = expected.begin();
        for (std::size_t i = 0; i < expected.size(); ++i, ++token) {
            ASSERT_EQ(map.alive()[i], token->first);
            const std::int64_t slot = map.slots()[i];
            const float mark = token->second;
            EXPECT_THAT(pages.key(slot), ElementsAre(mark, 2 * mark, 3 * mark));
            EXPECT_THAT(pages.value(slot), ElementsAre(-mark, mark, 0));
            EXPECT_EQ(pages.keyRows()[slot * 3 + 1], 2 * mark);
        }
    }
    EXPECT_GT(next, 1000);
}

TEST(TokenPages, CopiesAreTheirOwn)
{
    TokenPages pages(2, false);
    pages.put(0, std::vector<float>{1, 2}, std::vector<float>{3, 4});
    TokenPages copy = pages;
    copy.put(0, std::vector<float>{9, 9}, std::vector<float>{9, 9});
    EXPECT_THAT(pages.key(0), ElementsAre(1, 2));
    EXPECT_THAT(pages.value(0), ElementsAre(3, 4));
    EXPECT_NE(pages.pages()[0], copy.pages()[0]);
    EXPECT_EQ(pages.keyRows(), nullptr);
}

} // namespace
} // namespace kvloupe
