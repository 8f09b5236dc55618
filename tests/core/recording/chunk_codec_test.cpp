// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/recording/chunk_codec.h"

#include "tests/support/temporary_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <hdf5.h>

#include <array>
#include <cstdint>
#include <numeric>
#include <random>
#include <span>
#include <tuple>
#include <vector>

namespace kvloupe {
namespace {

/// H5_checksum_fletcher32 of HDF5 (src/H5checksum.c) as its documentation describes it: big-endian 16-bit words, sums
/// folded every 360 words.
std::uint32_t referenceFletcher32(std::span<const std::byte> bytes)
{
    std::uint32_t sum1 = 0;
    std::uint32_t sum2 = 0;
    const auto fold = [](std::uint32_t sum) { return (sum & 0xFFFFU) + (sum >> 16); };
    std::size_t words = bytes.size() / 2;
    std::size_t at = 0;
    while (words > 0) {
        const std::size_t run = std::min<std::size_t>(words, 360);
        words -= run;
        for (std::size_t i = 0; i < run; ++i, at += 2) {
            sum1 += std::to_integer<std::uint32_t>(bytes[at]) << 8 | std::to_integer<std::uint32_t>(bytes[at + 1]);
            sum2 += sum1;
        }
        sum1 = fold(sum1);
        sum2 = fold(sum2);
    }
    if (bytes.size() % 2 != 0) {
        sum1 += std::to_integer<std::uint32_t>(bytes[at]) << 8;
        sum2 += sum1;
        sum1 = fold(sum1);
        sum2 = fold(sum2);
    }
    return fold(sum2) << 16 | fold(sum1);
}

std::vector<std::byte> randomBytes(std::size_t count, std::uint32_t seed, unsigned largest = 255)
{
    std::mt19937 generator(seed);
    std::vector<std::byte> bytes(count);
    for (std::byte& byte : bytes) {
        byte = static_cast<std::byte>(generator() % (largest + 1));
    }
    return bytes;
}

TEST(Fletcher32, AgreesWithTheDefinitionForEveryLengthAndForExtremeBytes)
{
    for (std::size_t length = 0; length < 3000; ++length) {
        const auto bytes = randomBytes(length, static_cast<std::uint32_t>(length));
        ASSERT_EQ(fletcher32(bytes), referenceFletcher32(bytes)) << length;
    }
    for (const std::size_t length : {std::size_t{2}, std::size_t{720}, std::size_t{262144}, std::size_t{1000001}}) {
        for (const unsigned value : {0U, 1U, 128U, 255U}) {
            const std::vector<std::byte> bytes(length, static_cast<std::byte>(value));
            ASSERT_EQ(fletcher32(bytes), referenceFletcher32(bytes)) << length << " x " << value;
        }
    }
    // Single words at the end, whose sums are multiples of the modulus or not.
    std::vector<std::byte> sparse(4096, std::byte{0});
    sparse[4094] = std::byte{0xFF};
    sparse[4095] = std::byte{0xFF};
    EXPECT_EQ(fletcher32(sparse), referenceFletcher32(sparse));
}

using CodecCase = std::tuple<Compression, std::size_t>;

class ChunkCodecTest : public testing::TestWithParam<CodecCase> { };

TEST_P(ChunkCodecTest, DecodesWhatItEncoded)
{
    const auto [compression, elementSize] = GetParam();
    ChunkCodec codec(compression);
    for (const std::size_t elements : {std::size_t{1}, std::size_t{7}, std::size_t{1024}, std::size_t{65536}}) {
        for (const unsigned largest : {0U, 3U, 255U}) {
            const auto raw = randomBytes(elements * elementSize, 7, largest);
            const auto encoded = codec.encode(raw, elementSize);
            std::vector<std::byte> decoded(raw.size());
            codec.decode(encoded, 0, elementSize, decoded);
            ASSERT_EQ(decoded, raw);
        }
    }
}

TEST_P(ChunkCodecTest, NoticesEveryFlippedBitAndEveryLostByte)
{
    const auto [compression, elementSize] = GetParam();
    ChunkCodec codec(compression);
    const auto raw = randomBytes(48 * elementSize, 11, 15);
    const auto encoded = codec.encode(raw, elementSize);
    std::vector<std::byte> decoded(raw.size());
    for (std::size_t bit = 0; bit < 8 * encoded.size(); ++bit) {
        auto damaged = encoded;
        damaged[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
        ASSERT_THROW(codec.decode(damaged, 0, elementSize, decoded), RecordingError) << bit;
    }
    for (std::size_t length = 0; length < encoded.size(); ++length) {
        ASSERT_THROW(codec.decode(std::span(encoded).first(length), 0, elementSize, decoded), RecordingError) << length;
    }
    std::vector<std::byte> tooLarge(raw.size() + elementSize);
    EXPECT_THROW(codec.decode(encoded, 0, elementSize, tooLarge), RecordingError);
}

struct Hdf5Chunk {
    hid_t file = -1;
    hid_t dataset = -1;
    hid_t type = -1;

    Hdf5Chunk(const std::filesystem::path& path, Compression compression, std::size_t elementSize, hsize_t elements)
    {
        file = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
        const hid_t space = H5Screate_simple(1, &elements, nullptr);
        const hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
        H5Pset_chunk(creation, 1, &elements);
        if (compression != Compression::None) {
            H5Pset_shuffle(creation);
            H5Pset_deflate(creation, 1);
        }
        H5Pset_fletcher32(creation);
        type = elementSize == 2 ? H5T_NATIVE_UINT16 : elementSize == 4 ? H5T_NATIVE_UINT32 : H5T_NATIVE_UINT64;
        dataset = H5Dcreate2(file, "data", type, space, H5P_DEFAULT, creation, H5P_DEFAULT);
        H5Pclose(creation);
        H5Sclose(space);
    }
    ~Hdf5Chunk()
    {
        H5Dclose(dataset);
        H5Fclose(file);
    }
};

TEST_P(ChunkCodecTest, WritesWhatTheFiltersOfHdf5Read)
{
    const auto [compression, elementSize] = GetParam();
    const TemporaryFolder folder;
    constexpr hsize_t elements = 16384;
    const auto raw = randomBytes(elements * elementSize, 13, 40);
    const auto encoded = ChunkCodec(compression).encode(raw, elementSize);
    const Hdf5Chunk file(folder.path() / "ours.h5", compression, elementSize, elements);
    const hsize_t offset = 0;
    ASSERT_GE(H5Dwrite_chunk(file.dataset, H5P_DEFAULT, 0, &offset, encoded.size(), encoded.data()), 0);
    std::vector<std::byte> read(raw.size());
    ASSERT_GE(H5Dread(file.dataset, file.type, H5S_ALL, H5S_ALL, H5P_DEFAULT, read.data()), 0);
    EXPECT_EQ(read, raw);
}

TEST_P(ChunkCodecTest, ReadsWhatTheFiltersOfHdf5Write)
{
    const auto [compression, elementSize] = GetParam();
    const TemporaryFolder folder;
    constexpr hsize_t elements = 16384;
    const auto raw = randomBytes(elements * elementSize, 17, 40);
    const Hdf5Chunk file(folder.path() / "theirs.h5", compression, elementSize, elements);
    ASSERT_GE(H5Dwrite(file.dataset, file.type, H5S_ALL, H5S_ALL, H5P_DEFAULT, raw.data()), 0);
    ASSERT_GE(H5Fflush(file.file, H5F_SCOPE_GLOBAL), 0);
    const hsize_t offset = 0;
    hsize_t bytes = 0;
    ASSERT_GE(H5Dget_chunk_storage_size(file.dataset, &offset, &bytes), 0);
    std::vector<std::byte> encoded(bytes);
    std::uint32_t filterMask = 0;
    ASSERT_GE(H5Dread_chunk(file.dataset, H5P_DEFAULT, &offset, &filterMask, encoded.data()), 0);
    std::vector<std::byte> decoded(raw.size());
    ChunkCodec(compression).decode(encoded, filterMask, elementSize, decoded);
    EXPECT_EQ(decoded, raw);
}

INSTANTIATE_TEST_SUITE_P(AllKinds, ChunkCodecTest,
    testing::Combine(testing::Values(Compression::None, Compression::Fast, Compression::Small),
        testing::Values(std::size_t{2}, std::size_t{4}, std::size_t{8})));

TEST(ChunkCodec, HonoursTheFilterMaskOfSkippedFilters)
{
    const auto raw = randomBytes(256, 19);
    std::vector<std::byte> decoded(raw.size());
    constexpr std::uint32_t allSkipped = 7;
    ChunkCodec(Compression::Fast).decode(raw, allSkipped, 2, decoded);
    EXPECT_EQ(decoded, raw);
}

TEST(ChunkCodec, SaysWhatIsWrongWithAChunk)
{
    ChunkCodec codec(Compression::None);
    auto encoded = codec.encode(randomBytes(64, 23), 2);
    encoded[3] ^= std::byte{1};
    std::vector<std::byte> decoded(64);
    try {
        codec.decode(encoded, 0, 2, decoded);
        FAIL() << "the damage went unnoticed";
    } catch (const RecordingError& error) {
        EXPECT_THAT(error.what(), testing::HasSubstr("checksum is"));
    }
}

} // namespace
} // namespace kvloupe
