// SPDX-License-Identifier: GPL-3.0-or-later

#include "tests/views/heatmap/heat_map_fixture.h"

#include <algorithm>

namespace kvloupe {
namespace {

float patterned(std::int64_t query, std::int64_t key)
{
    return 0.001F * static_cast<float>(1 + (query * 7 + key * 3) % 100);
}

TEST_F(HeatMapTest, GoesOnBelowThePromptWithWhatWasGenerated)
{
    open(80, patterned, {}, 20);
    const QImage image = picture();
    for (const auto& [query, key] : {std::pair{79, 3}, {80, 3}, {99, 0}, {99, 99}, {95, 84}, {80, 79}})
        EXPECT_EQ(image.pixel(pixelOf(query, key)), colorOf(patterned(query, key))) << query << ", " << key;
    EXPECT_TRUE(
        std::ranges::all_of(tiles->reads, [](const TileKey& key) { return key.extent == MapExtent::AllTokens; }));
    EXPECT_EQ(view->mapWindow(), (MapWindow{0, 100, 0, 100}));
    selection.setCell(90, 85);
    EXPECT_TRUE(view->accessibleDescription().contains(QStringLiteral("query 90 \" w90\", key 85 \" w85\"")))
        << qPrintable(view->accessibleDescription());
}

TEST_F(HeatMapTest, ALineDividesThePromptFromWhatWasGenerated)
{
    // Cells of one colour: a pixel that differs is part of the line.
    open(
        80, [](std::int64_t, std::int64_t) { return 0.5F; }, {}, 20);
    const QImage image = picture();
    const auto differs = [&](std::int64_t from, std::int64_t to) {
        const int x = pixelOf(0, 30).x();
        for (int y = pixelOf(from, 30).y(); y <= pixelOf(to, 30).y(); ++y) {
            if (image.pixel(x, y) != colorOf(0.5F))
                return true;
        }
        return false;
    };
    EXPECT_TRUE(differs(79, 80));
    EXPECT_FALSE(differs(75, 79));
    EXPECT_FALSE(differs(80, 85));
}

TEST_F(HeatMapTest, EndsWithThePromptWhereNoGeneratedRowWasRecorded)
{
    open(80, patterned, {}, 20);
    auto without = std::make_shared<SampleModel>(*sample);
    without->layers[1].hasQueriesKeys = false;
    without->layers[1].mapHeads = {0, 1, 2};
    view->setSample(without, tiles);
    settle();
    EXPECT_EQ(view->mapWindow(), (MapWindow{0, 80, 0, 80}));
    without = std::make_shared<SampleModel>(*without);
    without->layers[1].decodeRows = 20;
    view->setSample(without, tiles);
    settle();
    EXPECT_EQ(view->mapWindow(), (MapWindow{0, 100, 0, 100}));
}

TEST_F(HeatMapTest, AClickOnAGeneratedRowGoesToItsStep)
{
    open(80, patterned, {}, 20);
    QTest::mouseClick(view->plot(), Qt::LeftButton, {}, pixelOf(84, 10));
    EXPECT_EQ(selection.step(), 5) << "the query of token 84 is the fifth generated one";
    EXPECT_EQ(selection.query(), 84);
    press(Qt::Key_Escape);
    QTest::mouseClick(view->plot(), Qt::LeftButton, {}, pixelOf(50, 10));
    EXPECT_EQ(selection.step(), 5) << "the prompt has no step";
}

TEST_F(HeatMapTest, MarksTheRowOfTheStepInView)
{
    open(
        80, [](std::int64_t, std::int64_t) { return 0.5F; }, {}, 20);
    const QImage before = picture();
    selection.setStep(7);
    const QImage after = picture();
    const QPoint mark(view->mapRect().left() + 3, pixelOf(86, 0).y());
    EXPECT_NE(after.pixel(mark), before.pixel(mark));
    EXPECT_EQ(after.pixel(pixelOf(86, 20)), before.pixel(pixelOf(86, 20)));
    selection.setStep(21);
    EXPECT_EQ(picture(), before) << "there is no such row";
}

TEST_F(HeatMapTest, StripsLeaveTokensBlankThatWereNotThereYet)
{
    open(
        80, [](std::int64_t, std::int64_t) { return 0.5F; }, {}, 20);
    std::vector<std::int32_t> kept(85);
    std::iota(kept.begin(), kept.end(), 0);
    const QColor color(0, 114, 178);
    const QRgb ground = view->palette().color(QPalette::Window).rgb();
    view->setKeepOverlay({{QStringLiteral("H2O"), color, kept, true, 90}});
    settle();
    const QImage image = picture();
    const int strip = view->mapRect().top() - 14;
    EXPECT_EQ(image.pixel(pixelOf(0, 40).x(), strip), color.rgb());
    EXPECT_NE(image.pixel(pixelOf(0, 87).x(), strip), color.rgb()) << "dropped";
    EXPECT_NE(image.pixel(pixelOf(0, 87).x(), strip), ground);
    EXPECT_EQ(image.pixel(pixelOf(0, 95).x(), strip), ground) << "not there yet";
    EXPECT_NE(image.pixel(pixelOf(99, 87)), colorOf(0.5F)) << "a dropped column is shaded";
    EXPECT_EQ(image.pixel(pixelOf(99, 95)), colorOf(0.5F));
}

} // namespace
} // namespace kvloupe
