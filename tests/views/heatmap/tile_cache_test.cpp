// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/heatmap/tile_cache.h"

#include <gtest/gtest.h>

#include <random>

namespace kvloupe {
namespace {

std::vector<Half> values(std::size_t count, Half value = 1)
{
    return std::vector<Half>(count, value);
}

TileKey at(std::int64_t column, int level = 0)
{
    return {.level = level, .column = column};
}

TEST(TileCache, DropsTheLeastRecentlyUsedTileFirst)
{
    TileCache cache(3 * 200);
    for (int i = 0; i < 3; ++i)
        cache.insert(at(i), values(100), TileCache::Pinning::None);
    EXPECT_TRUE(cache.find(at(0)));
    cache.insert(at(3), values(100), TileCache::Pinning::None);
    EXPECT_TRUE(cache.contains(at(0)));
    EXPECT_FALSE(cache.contains(at(1)));
    EXPECT_TRUE(cache.contains(at(2)));
    EXPECT_TRUE(cache.contains(at(3)));
}

TEST(TileCache, NeverHoldsMoreThanItsLimit)
{
    TileCache cache(10'000);
    std::mt19937 random(7);
    for (int i = 0; i < 5'000; ++i) {
        const auto pinning = random() % 4 == 0 ? TileCache::Pinning::Pinned : TileCache::Pinning::None;
        cache.insert(at(random() % 90, static_cast<int>(random() % 3)), values(random() % 800), pinning);
        cache.find(at(random() % 90));
        ASSERT_LE(cache.byteCount(), cache.limitBytes());
    }
    EXPECT_GT(cache.byteCount(), 5'000U);
}

TEST(TileCache, KeepsPinnedTilesWhileOthersCome)
{
    TileCache cache(10 * 200);
    cache.insert(at(0, 4), values(100, 7), TileCache::Pinning::Pinned);
    for (int i = 1; i < 100; ++i)
        cache.insert(at(i), values(100), TileCache::Pinning::None);
    const Tile pinned = cache.find(at(0, 4));
    ASSERT_TRUE(pinned);
    EXPECT_EQ(pinned->front(), 7);
}

TEST(TileCache, DropsPinnedTilesWhenTheyAloneFillHalfOfTheLimit)
{
    TileCache cache(10 * 200);
    for (int i = 0; i < 20; ++i)
        cache.insert(at(i, 4), values(100), TileCache::Pinning::Pinned);
    EXPECT_LE(cache.byteCount(), 5U * 200U);
    EXPECT_TRUE(cache.contains(at(19, 4)));
    EXPECT_FALSE(cache.contains(at(0, 4)));
}

TEST(TileCache, ReplacesATileWithoutCountingItTwice)
{
    TileCache cache(1'000);
    cache.insert(at(0), values(100, 1), TileCache::Pinning::None);
    cache.insert(at(0), values(50, 2), TileCache::Pinning::Pinned);
    EXPECT_EQ(cache.byteCount(), 100U);
    EXPECT_EQ(cache.find(at(0))->front(), 2);
}

TEST(TileCache, ATileOutlivesItsEvictionWhileItIsPainted)
{
    TileCache cache(200);
    cache.insert(at(0), values(100, 9), TileCache::Pinning::None);
    const Tile tile = cache.find(at(0));
    cache.insert(at(1), values(100), TileCache::Pinning::None);
    EXPECT_FALSE(cache.contains(at(0)));
    EXPECT_EQ(tile->back(), 9);
}

TEST(TileCache, DoesNotKeepATileLargerThanItself)
{
    TileCache cache(100);
    cache.insert(at(0), values(100), TileCache::Pinning::None);
    EXPECT_EQ(cache.byteCount(), 0U);
}

} // namespace
} // namespace kvloupe
