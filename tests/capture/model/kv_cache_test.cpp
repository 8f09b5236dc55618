// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/model/kv_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>
#include <vector>

namespace kvloupe {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

/// Adds tokens at positions [begin, end) whose keys count up from 100 * position and whose values are the negatives.
void append(KvCache& cache, int layer, int head, std::int64_t begin, std::int64_t end)
{
    std::vector<float> keys;
    std::vector<float> values;
    std::vector<std::int64_t> positions;
    for (std::int64_t position = begin; position < end; ++position) {
        positions.push_back(position);
        for (int i = 0; i < cache.headDim(); ++i) {
            keys.push_back(static_cast<float>(100 * position + i));
            values.push_back(-keys.back());
        }
    }
    cache.append(layer, head, keys, values, positions);
}

TEST(KvCache, KeepsEveryHeadOfEveryLayerApart)
{
    KvCache cache(2, 3, 2, 10);
    append(cache, 1, 2, 0, 2);
    append(cache, 1, 2, 7, 8);
    append(cache, 0, 2, 4, 5);
    EXPECT_EQ(cache.layers(), 2);
    EXPECT_EQ(cache.size(), 3);
    EXPECT_EQ(cache.size(1, 2), 3);
    EXPECT_EQ(cache.size(1, 1), 0);
    EXPECT_THAT(cache.keys(1, 2), ElementsAre(0, 1, 100, 101, 700, 701));
    EXPECT_THAT(cache.values(0, 2), ElementsAre(-400, -401));
    EXPECT_THAT(cache.positions(1, 2), ElementsAre(0, 1, 7));
    EXPECT_THAT(cache.keys(0, 0), IsEmpty());
}

TEST(KvCache, PacksTheKeysItHolds)
{
    KvCache cache(1, 1, 4, 0);
    for (std::int64_t position = 0; position < 40; ++position)
        append(cache, 0, 0, position, position + 1);
    const PackedKeys& packed = cache.packedKeys(0, 0);
    ASSERT_EQ(packed.size(), 40);
    EXPECT_EQ(packed.panel(1)[3 * PackedKeys::panelKeys + 5], 2103.0F); // key 16 + 5, dimension 3
}

TEST(KvCache, ForgetsEntriesFromAPositionOn)
{
    KvCache cache(1, 2, 4, 0);
    append(cache, 0, 0, 0, 20);
    append(cache, 0, 1, 3, 5);
    cache.setNextPosition(20);
    cache.truncate(17);
    EXPECT_EQ(cache.nextPosition(), 17);
    EXPECT_EQ(cache.size(0, 0), 17);
    EXPECT_EQ(cache.size(0, 1), 2);
    EXPECT_EQ(cache.packedKeys(0, 0).size(), 17);
    EXPECT_EQ(cache.keys(0, 0).back(), 1603.0F);
    append(cache, 0, 0, 17, 18);
    EXPECT_EQ(cache.packedKeys(0, 0).panel(1)[1], 1700.0F);
    EXPECT_THAT(cache.positions(0, 1), ElementsAre(3, 4));
}

} // namespace
} // namespace kvloupe
