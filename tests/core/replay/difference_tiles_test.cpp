// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/replay/difference_tiles.h"

#include "tests/support/make_recording.h"
#include "tests/support/temporary_folder.h"

#include <gtest/gtest.h>

#include <cmath>
#include <optional>

namespace kvloupe {
namespace {

SyntheticRecording options(RecordKind kind, std::int64_t tokens)
{
    SyntheticRecording made;
    made.layers = 1;
    made.promptTokens = tokens;
    made.kind = kind;
    return made;
}

TEST(DifferenceTiles, SubtractCellByCellAndPoolTheLargestMagnitude)
{
    const TemporaryFolder folder;
    makeRecording(folder.path() / "r.h5", options(RecordKind::QueriesKeys, 700));
    const Recording recording = Recording::open(folder.path() / "r.h5");
    AttentionTiles tiles(recording);
    DifferenceTiles difference(tiles, {0, 0, 0}, tiles, {0, 0, 3}, 700);
    const std::vector<float> a = tiles.block(0, 0, 0, {0, 700}, {0, 700});
    const std::vector<float> b = tiles.block(0, 0, 3, {0, 700}, {0, 700});
    const auto expected = [&](int level, std::int64_t row, std::int64_t column) {
        float strongest = 0.0F;
        for (std::int64_t q = row << level; q < std::min<std::int64_t>(700, (row + 1) << level); ++q) {
            for (std::int64_t k = column << level; k < std::min<std::int64_t>(q + 1, (column + 1) << level); ++k) {
                const auto at = static_cast<std::size_t>(q * 700 + k);
                if (std::abs(a[at] - b[at]) > std::abs(strongest))
                    strongest = a[at] - b[at];
            }
        }
        return strongest;
    };
    bool negative = false;
    bool positive = false;
    for (int level = 0; level <= 3; ++level) {
        const std::int64_t cells = (700 + (1 << level) - 1) >> level;
        for (std::int64_t row = 0; row < cells; row += level == 0 ? 13 : 3) {
            for (std::int64_t column = 0; column <= row; column += level == 0 ? 7 : 1) {
                const auto tile = difference.read(level, row / tileSize, column / tileSize);
                const float found
                    = halfToFloat(tile[static_cast<std::size_t>(row % tileSize * tileSize + column % tileSize)]);
                const float wanted = expected(level, row, column);
                ASSERT_NEAR(std::abs(found), std::abs(wanted), std::abs(wanted) * 0x1p-10F + 1e-7F)
                    << level << ": " << row << ", " << column;
                if (std::abs(wanted) > 1e-4F) {
                    negative = negative || found < 0;
                    positive = positive || found > 0;
                }
            }
        }
    }
    EXPECT_TRUE(negative && positive);
    EXPECT_EQ(difference.read(0, 0, 1), std::vector<Half>(static_cast<std::size_t>(tileSize * tileSize), 0));
    int asked = 0;
    DifferenceTiles stopped(tiles, {0, 0, 0}, tiles, {0, 0, 3}, 700);
    EXPECT_TRUE(stopped.read(3, 0, 0, [&] { return ++asked > 4; }).empty());
}

TEST(DifferenceTiles, OfAMapAndItselfAreZero)
{
    const TemporaryFolder folder;
    makeRecording(folder.path() / "full.h5", options(RecordKind::Full, 300));
    makeRecording(folder.path() / "qk.h5", options(RecordKind::QueriesKeys, 300));
    const Recording one = Recording::open(folder.path() / "full.h5");
    const Recording other = Recording::open(folder.path() / "qk.h5");
    AttentionTiles tilesOne(one);
    AttentionTiles tilesOther(other);
    DifferenceTiles difference(tilesOne, {0, 0, 1}, tilesOther, {0, 0, 1}, 300);
    for (const float value : difference.block({0, 300}, {0, 300}))
        ASSERT_EQ(value, 0.0F);
}

TEST(DifferenceTiles, NeedMapsAtFullResolution)
{
    const TemporaryFolder folder;
    makeRecording(folder.path() / "r.h5", options(RecordKind::Statistics, 300));
    const Recording recording = Recording::open(folder.path() / "r.h5");
    AttentionTiles tiles(recording);
    DifferenceTiles difference(tiles, {0, 0, 0}, tiles, {0, 0, 1}, 300);
    EXPECT_THROW(difference.read(0, 0, 0), RecordingError);
}

TEST(PromptMismatch, NamesTheFirstTokenThatDiffers)
{
    SampleText a;
    a.ids = {1, 5, 9, 4};
    a.pieces = {"<s>", " the", " cat", " x"};
    SampleText b = a;
    EXPECT_EQ(promptMismatch(a, 3, b, 3), "");
    b.ids[3] = 7;
    EXPECT_EQ(promptMismatch(a, 3, b, 3), "") << "what was generated is no part of the prompt";
    b.ids[2] = 8;
    b.pieces[2] = " dog";
    EXPECT_EQ(
        promptMismatch(a, 3, b, 3), "the prompts differ from token 2 on: \" cat\" (id 9) against \" dog\" (id 8)");
    EXPECT_EQ(promptMismatch(a, 3, a, 2), "the prompts have 3 and 2 tokens; the first 2 are equal");
}

} // namespace
} // namespace kvloupe
