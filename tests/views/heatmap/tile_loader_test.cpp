// SPDX-License-Identifier: GPL-3.0-or-later

#include "tests/views/heatmap/fake_tiles.h"
#include "tests/views/widget_test.h"
#include "views/heatmap/tile_loader.h"

#include <QSignalSpy>

namespace kvloupe {
namespace {

TileKey at(std::int64_t row, std::int64_t column, int level = 0)
{
    return {.level = level, .row = row, .column = column};
}

class TileLoading : public WidgetTest {
protected:
    TileLoading() { loader.setSource(tiles); }

    std::shared_ptr<FakeTiles> tiles
        = std::make_shared<FakeTiles>(2048, [](std::int64_t, std::int64_t) { return 0.25F; });
    TileCache cache{std::size_t{64} << 20};
    TileLoader loader{cache};
};

TEST_F(TileLoading, BringsWhatIsWantedInThatOrder)
{
    QSignalSpy idle(&loader, &TileLoader::idle);
    const std::vector<TileKey> wanted{at(3, 2), at(3, 1), at(2, 2), at(5, 0), at(4, 4), at(6, 6)};
    loader.want(wanted, {}, -1);
    EXPECT_FALSE(loader.isIdle());
    ASSERT_TRUE(waitFor([&] { return loader.isIdle(); }));
    EXPECT_EQ(tiles->reads, wanted);
    EXPECT_EQ(idle.count(), 1);
}

TEST_F(TileLoading, DropsRequestsThatWentStaleBeforeTheyAreRead)
{
    tiles->hold = true;
    loader.want({at(7, 0), at(7, 1), at(7, 2), at(7, 3), at(7, 4), at(7, 5)}, {}, -1);
    EXPECT_EQ(tiles->heldCount(), TileLoader::maximumInFlight);
    loader.want({at(1, 0), at(7, 3)}, {}, -1);
    tiles->deliverHeld();
    ASSERT_TRUE(waitFor([&] { return loader.isIdle(); }));
    EXPECT_EQ(tiles->staleDropped, 3);
    EXPECT_EQ(tiles->reads, (std::vector{at(7, 3), at(1, 0)}));
}

TEST_F(TileLoading, ReadsATileOnlyOnce)
{
    loader.want({at(1, 0)}, {}, -1);
    loader.want({at(1, 0), at(1, 1)}, {}, -1);
    ASSERT_TRUE(waitFor([&] { return loader.isIdle(); }));
    loader.want({at(1, 1), at(1, 0)}, {}, -1);
    EXPECT_TRUE(loader.isIdle());
    EXPECT_EQ(tiles->reads.size(), 2U);
}

TEST_F(TileLoading, PrefetchesOnceTheVisibleTilesAreThere)
{
    loader.want({at(1, 0), at(1, 1)}, {at(2, 0), at(1, 0)}, -1);
    ASSERT_TRUE(waitFor([&] { return cache.contains(at(2, 0)); }));
    EXPECT_EQ(tiles->reads, (std::vector{at(1, 0), at(1, 1), at(2, 0)}));
}

TEST_F(TileLoading, ReportsADamagedTileOnceAndGoesOn)
{
    tiles->damaged = [](const TileKey& key) { return key.column == 1; };
    QSignalSpy failed(&loader, &TileLoader::failed);
    loader.want({at(3, 0), at(3, 1), at(3, 2)}, {}, -1);
    ASSERT_TRUE(waitFor([&] { return loader.isIdle(); }));
    loader.want({at(3, 1), at(3, 2)}, {}, -1);
    EXPECT_TRUE(loader.isIdle());
    ASSERT_EQ(failed.count(), 1);
    EXPECT_TRUE(failed.first().first().toString().contains(QStringLiteral("damaged")));
    EXPECT_TRUE(cache.contains(at(3, 0)));
    EXPECT_TRUE(cache.contains(at(3, 2)));
    EXPECT_TRUE(loader.hasFailed(at(3, 1)));
}

TEST_F(TileLoading, TakesNothingFromASourceThatWasReplaced)
{
    tiles->hold = true;
    loader.want({at(1, 0)}, {}, -1);
    loader.setSource(std::make_shared<FakeTiles>(2048, [](std::int64_t, std::int64_t) { return 0.5F; }));
    tiles->deliverHeld();
    ASSERT_TRUE(waitFor([&] { return tiles->staleDropped == 1; }));
    EXPECT_FALSE(cache.contains(at(1, 0)));
}

} // namespace
} // namespace kvloupe
