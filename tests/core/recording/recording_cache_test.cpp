// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/recording/recording_cache.h"

#include "tests/support/make_recording.h"
#include "tests/support/temporary_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <numeric>

namespace kvloupe {
namespace {

using testing::ElementsAre;
using testing::Optional;

class RecordingCacheTest : public testing::Test {
protected:
    void SetUp() override { record(1); }

    void record(std::uint64_t seed)
    {
        SyntheticRecording options;
        options.headDim = 16;
        options.promptTokens = 40;
        options.seed = seed;
        makeRecording(file(), options);
    }
    std::filesystem::path file() const { return folder.path() / "r.h5"; }
    Recording open() const { return Recording::open(file()); }

    /// Bytes of the cache's file.
    std::string bytes() const
    {
        std::ifstream stream(RecordingCache(open()).path(), std::ios::binary);
        return {std::istreambuf_iterator<char>(stream), {}};
    }
    void overwrite(const std::string& content) const
    {
        std::ofstream(RecordingCache(open()).path(), std::ios::binary | std::ios::trunc) << content;
    }

    TemporaryFolder folder;
    const std::vector<float> gini{0.5F, 0.25F, -1.0F};
};

TEST_F(RecordingCacheTest, GivesBackWhatWasStoredAlsoToTheNextOne)
{
    RecordingCache cache(open());
    EXPECT_EQ(cache.find(0, 1, "row_gini", 3), std::nullopt);
    cache.store(0, 1, "row_gini", gini);
    cache.store(0, 0, "row_gini", std::vector<float>{7.0F});
    EXPECT_THAT(cache.find(0, 1, "row_gini", 3), Optional(ElementsAre(0.5F, 0.25F, -1.0F)));

    const RecordingCache next(open());
    EXPECT_THAT(next.find(0, 1, "row_gini", 3), Optional(ElementsAre(0.5F, 0.25F, -1.0F)));
    EXPECT_THAT(next.find(0, 0, "row_gini", 1), Optional(ElementsAre(7.0F)));
    EXPECT_EQ(next.find(0, 1, "row_gini", 4), std::nullopt) << "another size";
    EXPECT_EQ(next.find(0, 1, "row_top", 3), std::nullopt);
    EXPECT_EQ(next.find(1, 1, "row_gini", 3), std::nullopt);
}

TEST_F(RecordingCacheTest, OfAnotherRecordingIsAsIfItWasNotThereAndBegunAnew)
{
    RecordingCache(open()).store(0, 1, "row_gini", gini);
    record(2); // the same path, another recording
    RecordingCache cache(open());
    EXPECT_EQ(cache.find(0, 1, "row_gini", 3), std::nullopt);
    cache.store(0, 1, "row_gini", std::vector<float>{9.0F});
    EXPECT_THAT(RecordingCache(open()).find(0, 1, "row_gini", 1), Optional(ElementsAre(9.0F)));
}

TEST_F(RecordingCacheTest, IsStaleOnceTheRecordingWasTouched)
{
    RecordingCache(open()).store(0, 1, "row_gini", gini);
    std::filesystem::last_write_time(file(), std::filesystem::last_write_time(file()) + std::chrono::milliseconds(3));
    EXPECT_EQ(RecordingCache(open()).find(0, 1, "row_gini", 3), std::nullopt);
}

TEST_F(RecordingCacheTest, GivesNothingDamagedOrCutShort)
{
    RecordingCache(open()).store(0, 0, "first", gini);
    RecordingCache(open()).store(0, 1, "row_gini", gini);
    const std::string whole = bytes();
    for (std::size_t at = 0; at < whole.size(); ++at) {
        std::string damaged = whole;
        damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
        overwrite(damaged);
        const RecordingCache cache(open());
        for (const char* name : {"first", "row_gini"})
            for (const int layer : {0, 1})
                if (const auto found = cache.find(0, layer, name, 3)) {
                    EXPECT_EQ(*found, gini) << "byte " << at;
                }
    }
    for (std::size_t length = 0; length < whole.size(); ++length) {
        overwrite(whole.substr(0, length));
        const RecordingCache cache(open());
        EXPECT_EQ(cache.find(0, 1, "row_gini", 3), std::nullopt) << length << " bytes";
    }
}

TEST_F(RecordingCacheTest, GoesOnBehindAnArrayThatWasCutShort)
{
    RecordingCache(open()).store(0, 0, "first", gini);
    const std::string one = bytes();
    RecordingCache(open()).store(0, 1, "row_gini", std::vector<float>(1000, 1.0F));
    overwrite(bytes().substr(0, one.size() + 500)); // killed in the middle of the second
    RecordingCache cache(open());
    cache.store(0, 2, "third", gini);
    const RecordingCache next(open());
    EXPECT_TRUE(next.find(0, 0, "first", 3));
    EXPECT_TRUE(next.find(0, 2, "third", 3));
    EXPECT_EQ(next.find(0, 1, "row_gini", 1000), std::nullopt);
}

TEST_F(RecordingCacheTest, TakesTwoWritersInTurns)
{
    RecordingCache one(open());
    RecordingCache other(open());
    one.store(0, 0, "first", gini);
    other.store(0, 1, "second", gini);
    one.store(0, 0, "third", gini);
    const RecordingCache next(open());
    EXPECT_TRUE(next.find(0, 0, "first", 3));
    EXPECT_TRUE(next.find(0, 1, "second", 3));
    EXPECT_TRUE(next.find(0, 0, "third", 3));
}

TEST_F(RecordingCacheTest, IsSilentWhereNothingCanBeWritten)
{
    std::filesystem::create_directory(RecordingCache(open()).path()); // a folder in its place
    RecordingCache cache(open());
    cache.store(0, 0, "first", gini);
    EXPECT_EQ(cache.find(0, 0, "first", 3), std::nullopt);
}

} // namespace
} // namespace kvloupe
