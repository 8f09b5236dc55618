// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/cuda/weight_upload.h"

#include "capture/checkpoint/tensor_types.h"
#include "host_kernels.h"

#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <random>
#include <stdexcept>

namespace kvloupe::cuda {
namespace {

constexpr std::array types{DataType::F32, DataType::F16, DataType::BF16, DataType::Q4_0, DataType::Q4_1, DataType::Q5_0,
    DataType::Q5_1, DataType::Q8_0, DataType::Q2_K, DataType::Q3_K, DataType::Q4_K, DataType::Q5_K, DataType::Q6_K,
    DataType::Q8_K, DataType::IQ4_NL, DataType::IQ4_XS};

/// Blocks of random bytes whose numbers are finite.
std::vector<std::byte> finiteBlocks(DataType type, std::size_t blocks)
{
    std::mt19937_64 random(static_cast<std::uint64_t>(type) + 1);
    const auto bytes = static_cast<std::size_t>(blockBytes(type));
    const auto length = static_cast<std::size_t>(blockLength(type));
    std::vector<std::byte> result;
    std::vector<std::byte> block(bytes);
    std::vector<float> values(length);
    while (result.size() < blocks * bytes) {
        for (std::byte& byte : block)
            byte = static_cast<std::byte>(random());
        if (!dequantizeFinite(type, block, values))
            result.insert(result.end(), block.begin(), block.end());
    }
    return result;
}

template <typename Element> void expectTheHostsNumbers(DataType type)
{
    SCOPED_TRACE(dataTypeName(type));
    constexpr std::size_t pieces = 5;
    const std::size_t blocksOfPiece = blockLength(type) == 1 ? 700 : 3;
    const auto bytes = blocksOfPiece * static_cast<std::size_t>(blockBytes(type));
    const auto values = blocksOfPiece * static_cast<std::size_t>(blockLength(type));
    const std::vector<std::byte> blocks = finiteBlocks(type, pieces * blocksOfPiece);
    std::vector<Element> found(pieces * values);
    HostKernels kernels;
    {
        WeightUpload upload(kernels, 100);
        for (std::size_t piece = 0; piece < pieces; ++piece) {
            upload.send(
                type, bytes, static_cast<std::int64_t>(values), found.data() + piece * values,
                [&](std::span<std::byte> to) { std::memcpy(to.data(), blocks.data() + piece * bytes, to.size()); },
                [](std::int64_t index) { FAIL() << "number " << index << " was refused"; });
        }
        upload.finish();
    }
    EXPECT_TRUE(kernels.isIdle()) << "memory or copies are left";
    std::vector<float> expected(pieces * values);
    dequantize(type, blocks, expected);
    std::size_t different = 0;
    for (std::size_t i = 0; i < expected.size(); ++i) {
        const auto rounded = fromFloat<Element>(expected[i]);
        different += std::memcmp(&found[i], &rounded, sizeof rounded) != 0 ? 1U : 0U;
    }
    EXPECT_EQ(different, 0U);
}

TEST(WeightUpload, GivesTheNumbersOfTheHostRoundedOnce)
{
    for (const DataType type : types) {
        expectTheHostsNumbers<float>(type);
        expectTheHostsNumbers<Bfloat16>(type);
        expectTheHostsNumbers<Float16>(type);
    }
}

TEST(WeightUpload, NamesTheFirstNumberOfAPieceThatIsNotFinite)
{
    HostKernels kernels;
    {
        WeightUpload upload(kernels, 100);
        std::vector<float> numbers(1000, 1.0F);
        std::vector<Bfloat16> out(3 * numbers.size());
        const auto send = [&](std::size_t piece) {
            upload.send(
                DataType::F32, numbers.size() * sizeof(float), std::ssize(numbers), out.data() + piece * numbers.size(),
                [&](std::span<std::byte> to) { std::memcpy(to.data(), numbers.data(), to.size()); },
                [piece](std::int64_t index) {
                    throw std::runtime_error(std::to_string(piece) + ":" + std::to_string(index));
                });
        };
        send(0);
        numbers[990] = std::numeric_limits<float>::infinity();
        numbers[377] = std::numeric_limits<float>::quiet_NaN();
        send(1);
        numbers[990] = numbers[377] = 1.0F;
        try {
            send(2);
            upload.finish();
            FAIL() << "NaN was taken";
        } catch (const std::runtime_error& error) {
            EXPECT_STREQ(error.what(), "1:377");
        }
    }
    EXPECT_TRUE(kernels.isIdle());
}

TEST(WeightUpload, GivesMemoryBackWhenReadingFails)
{
    HostKernels kernels;
    {
        WeightUpload upload(kernels, 100);
        std::vector<float> out(64);
        const auto send = [&](bool fails) {
            upload.send(DataType::F32, 128, 32, out.data(),
                [&](std::span<std::byte> to) {
                    if (fails)
                        throw std::runtime_error("cut");
                    std::memset(to.data(), 0, to.size());
                },
                {});
        };
        send(false);
        EXPECT_THROW(send(true), std::runtime_error);
    }
    EXPECT_TRUE(kernels.isIdle());
}

} // namespace
} // namespace kvloupe::cuda
