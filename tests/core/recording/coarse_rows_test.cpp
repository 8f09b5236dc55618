// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/recording/coarse_rows.h"

#include "core/recording/half.h"
#include "core/recording/recording.h"
#include "core/recording/tile_pyramid.h"
#include "tests/support/make_recording.h"
#include "tests/support/temporary_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace kvloupe {
namespace {

using testing::ElementsAre;

TEST(CoarseRows, AreWholeWithTheirLastBlockWhicheverItIs)
{
    CoarseRows rows;
    const std::vector<float> early{0.5F};
    const std::vector<float> middle{0.25F, 0.75F};
    const std::vector<float> late{0.125F, 0.25F, 1.0F};
    EXPECT_FALSE(rows.add({512, 3}, 512, 3, late, late));
    EXPECT_FALSE(rows.add({512, 3}, 0, 3, early, early));
    EXPECT_FALSE(rows.add({1024, 3}, 256, 2, middle, middle)) << "another level";
    const auto joined = rows.add({512, 3}, 256, 3, middle, middle);
    ASSERT_TRUE(joined);
    EXPECT_THAT(joined->maximum, ElementsAre(0.5F, 0.75F, 1.0F));
    EXPECT_THAT(joined->sum, ElementsAre(0.875F, 1.0F, 1.0F));
    EXPECT_FALSE(rows.add({512, 3}, 0, 3, early, early)) << "begun anew";
}

TEST(CoarseRows, GiveTheOverviewOfAPromptBeyond32768Tokens)
{
    const TemporaryFolder folder;
    SyntheticRecording options;
    options.layers = 1;
    options.heads = 2;
    options.kvHeads = 1;
    options.headDim = 8;
    options.promptTokens = 33100;
    options.window = 700; // the diagonal is enough, and quick
    options.kind = RecordKind::Statistics;
    makeRecording(folder.path() / "long.h5", options);
    const Recording recording = Recording::open(folder.path() / "long.h5");
    constexpr std::int64_t factor = 512; // two blocks of rows
    ASSERT_EQ(overviewFactor(options.promptTokens), factor);
    const std::int64_t edge = overviewEdge(options.promptTokens);
    const std::vector<Half> maxima = recording.readOverview(0, 0, Pooling::Max);
    const std::vector<Half> means = recording.readOverview(0, 0, Pooling::Mean);

    std::vector<Half> finer(static_cast<std::size_t>(tileSize * tileSize));
    std::vector<Half> finerMeans(finer.size());
    for (int head = 0; head < 2; ++head) {
        recording.readPyramidTile(0, 0, head, 256, Pooling::Max, 0, 0, finer);
        recording.readPyramidTile(0, 0, head, 256, Pooling::Mean, 0, 0, finerMeans);
        for (std::int64_t row = 0; row < edge; ++row) {
            for (std::int64_t column = 0; column <= row; ++column) {
                float maximum = 0;
                double sum = 0;
                for (const std::int64_t r : {2 * row, 2 * row + 1}) {
                    for (const std::int64_t c : {2 * column, 2 * column + 1}) {
                        const auto at = static_cast<std::size_t>(r * tileSize + c);
                        maximum = std::max(maximum, halfToFloat(finer[at]));
                        sum += static_cast<double>(halfToFloat(finerMeans[at]))
                            * static_cast<double>(causalCells(r, c, 256, options.promptTokens, options.window));
                    }
                }
                const auto at = static_cast<std::size_t>((head * edge + row) * edge + column);
                const auto cells
                    = static_cast<double>(causalCells(row, column, factor, options.promptTokens, options.window));
                ASSERT_EQ(halfToFloat(maxima[at]), maximum) << head << ": " << row << ", " << column;
                ASSERT_NEAR(halfToFloat(means[at]), cells > 0 ? sum / cells : 0.0,
                    2e-3 * (cells > 0 ? sum / cells : 0.0) + 1e-7)
                    << head << ": " << row << ", " << column;
            }
        }
    }
}

} // namespace
} // namespace kvloupe
