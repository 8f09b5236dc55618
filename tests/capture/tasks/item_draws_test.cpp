// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tasks/item_draws.h"

#include <gtest/gtest.h>

#include <array>
#include <set>

namespace kvloupe {
namespace {

TEST(IndexPermutation, VisitsEveryIndexOnce)
{
    for (const std::uint64_t size : {1u, 2u, 3u, 4u, 5u, 17u, 256u, 257u, 4099u}) {
        const IndexPermutation order(size, 7, "test");
        std::set<std::uint64_t> seen;
        for (std::uint64_t i = 0; i < size; ++i) {
            EXPECT_LT(order[i], size);
            seen.insert(order[i]);
        }
        EXPECT_EQ(seen.size(), size);
    }
}

TEST(IndexPermutation, DependsOnSeedAndPurpose)
{
    const IndexPermutation a(1000, 1, "x");
    const IndexPermutation b(1000, 2, "x");
    const IndexPermutation c(1000, 1, "y");
    int sameAsB = 0;
    int sameAsC = 0;
    int inPlace = 0;
    for (std::uint64_t i = 0; i < 1000; ++i) {
        sameAsB += a[i] == b[i];
        sameAsC += a[i] == c[i];
        inPlace += a[i] == i;
    }
    // One agreement is expected of two random orders.
    EXPECT_LT(sameAsB, 10);
    EXPECT_LT(sameAsC, 10);
    EXPECT_LT(inPlace, 10);
}

TEST(ItemDraws, AreUniformAndInRange)
{
    std::array<int, 7> counts{};
    for (std::uint64_t item = 0; item < 700; ++item) {
        ItemDraws draws(3, "test", item);
        for (int i = 0; i < 100; ++i)
            ++counts[draws.below(7)];
    }
    for (const int count : counts)
        EXPECT_NEAR(count, 10'000, 400); // four standard deviations
    ItemDraws draws(3, "test", 0);
    for (int i = 0; i < 1000; ++i) {
        const auto value = draws.between(-2, 2);
        EXPECT_GE(value, -2);
        EXPECT_LE(value, 2);
    }
    const auto some = draws.distinct(5, 9);
    EXPECT_EQ(std::set(some.begin(), some.end()).size(), 5u);
}

TEST(ItemDraws, AreTheSameOnEveryMachine)
{
    // SplitMix64's finaliser over the key; fixed here so that a change, which would change every item, is seen.
    ItemDraws draws(42, "ar", 7);
    const std::array<std::uint64_t, 2> first{draws.bits(), draws.bits()};
    ItemDraws again(42, "ar", 7);
    EXPECT_EQ(again.bits(), first[0]);
    EXPECT_EQ(again.bits(), first[1]);
    EXPECT_EQ(first, (std::array<std::uint64_t, 2>{0x5664772c07a41399U, 0x4d61ef9965b8a77bU}));
}

} // namespace
} // namespace kvloupe
